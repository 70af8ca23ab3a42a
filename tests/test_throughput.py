"""The benchmark of throughput: both sides compute in the precision that the machine is fast in."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import selftaught.core.precision
import selftaught.tasks.parts.losses

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "throughput.py"


@pytest.fixture(scope="module")
def throughput() -> Any:
    spec = importlib.util.spec_from_file_location("throughput", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("is_fast", "name"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_bare_model_computes_in_the_precision_that_is_fast(
    throughput: Any, monkeypatch: pytest.MonkeyPatch, is_fast: bool, name: str
) -> None:
    seen = []

    def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        seen.append(first.dtype)
        return (first - second).square().sum(), first.new_zeros(())

    monkeypatch.setattr(throughput, "BATCH", 2)
    monkeypatch.setattr(throughput, "set_threads", lambda: None)
    monkeypatch.setattr(selftaught.core.precision, "fast_bf16", lambda device: is_fast)
    monkeypatch.setattr(selftaught.tasks.parts.losses, "nt_xent", nt_xent)
    assert throughput.fast_precision() == name
    assert throughput.bare(argparse.Namespace(sizes="32", steps=1)) > 0
    assert set(seen) == {torch.bfloat16 if is_fast else torch.float32}


def test_a_missed_target_says_in_which_precision(throughput: Any) -> None:
    row = {"precision": "32-true", "ratios": {"a/b": 1.2, "a/c": 1.25, "a/d": 0.9}}
    assert throughput.missed({"64": row, "machine": {"cpu": "one"}}) == [
        "a/b at 64 px in 32-true is 1.2, target 2.2",
        "a/d at 64 px in 32-true is 0.9, target 0.95",
    ]

"""Weights as other programs save them: what is wrong is named, with the line that puts it right."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights import load_state_dict_into, network_of


def refused(tmp_path: Path, content: Any) -> str:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"^weights ") as caught:
        load_state_dict_into(build_encoder("resnet18", size=64), tmp_path / "w.pth")
    return str(caught.value)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return dict(network_of(build_encoder("resnet18", size=64))[0].state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "module.encoder_q."])
def test_a_prefix_is_named_and_the_line_that_takes_it_off_works(
    tmp_path: Path, state: dict[str, torch.Tensor], prefix: str
) -> None:
    state_dict = {f"{prefix}{key}": value for key, value in state.items()} | {"head.weight": torch.zeros(2)}
    told = refused(tmp_path, state_dict)
    assert f"begin with {prefix!r} in the file" in told
    plain = eval(told.partition("torch.save(")[2].rpartition(", 'plain.pth'")[0], {"state_dict": state_dict})
    torch.save(plain, tmp_path / "plain.pth")
    load_state_dict_into(build_encoder("resnet18", size=64), tmp_path / "plain.pth")


@pytest.mark.parametrize("key", ["state_dict", "model", "teacher"])
def test_the_key_of_a_nested_state_dict_is_named(tmp_path: Path, state: dict[str, torch.Tensor], key: str) -> None:
    assert f"it is under {key!r}; save it alone" in refused(tmp_path, {key: state, "epoch": 3})


def test_what_is_not_unpickled_is_named_and_not_called_damaged(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    told = refused(tmp_path, {"state_dict": state, "args": argparse.Namespace(lr=1)})
    assert "hold more than tensors: argparse.Namespace, which is not read" in told
    assert "damaged" not in told

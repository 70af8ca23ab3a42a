"""The device that is asked for, or the best one there is."""

from __future__ import annotations

import pytest
import torch

from selftaught.core.config import RunConfig
from selftaught.core.devices import accelerator_of, compute_device, make_fabric


def test_an_accelerator_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = "--accelerator {} cannot be used on this machine; choose from auto, mps, cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert [accelerator_of(name) for name in ("auto", "mps", "cpu")] == ["mps", "mps", "cpu"]
    for absent in ("tpu", "cuda"):
        with pytest.raises(ValueError, match=machine.format(absent)):
            accelerator_of(absent)


def test_the_device_of_a_verb_has_a_number_where_there_may_be_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert compute_device("auto") == torch.device("cuda", 0)
    assert compute_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("is_fast", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_the_precision_the_machine_is_fast_in(
    is_fast: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selftaught.core.devices.fast_bf16", lambda accelerator: is_fast)
    fabric = make_fabric(RunConfig.of(data="demo", out="run", accelerator="cpu"), is_partly_used=False)
    assert fabric._precision.precision == precision
    assert fabric.world_size == 1
    asked = RunConfig.of(data="demo", out="run", accelerator="cpu", precision="32-true")
    assert make_fabric(asked, is_partly_used=False)._precision.precision == "32-true"

"""The device that is asked for, or the best one there is."""

from __future__ import annotations

import pytest
import torch

from selftaught.core.devices import accelerator_of, check_sharding, compute_device, make_fabric
from selftaught.core.settings.groups import MachineSettings


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
    monkeypatch.setattr("selftaught.core.precision.fast_bf16", lambda accelerator: is_fast)
    fabric = make_fabric(MachineSettings(accelerator="cpu"), is_partly_used=False)
    assert fabric._precision.precision == precision
    assert fabric.world_size == 1
    asked = MachineSettings(accelerator="cpu", precision="32-true")
    assert make_fabric(asked, is_partly_used=False)._precision.precision == "32-true"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strategy": "fsdp"}, "--strategy fsdp splits a run over several devices, got 1; give --devices 2 or more"),
        ({"strategy": "hsdp", "devices": 2}, "got 2 devices on 1 nodes; give at least 2 of both, or --strategy fsdp"),
        ({"strategy": "hsdp", "num_nodes": 2}, "got 1 devices on 2 nodes"),
        (
            {"strategy": "fsdp", "devices": 2, "precision": "16-mixed"},
            "--strategy fsdp cannot compute in 16-mixed; give --precision bf16-mixed or 32-true",
        ),
    ],
)
def test_devices_and_precisions_without_sharding_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_sharding(MachineSettings(**settings))  # type: ignore[arg-type]


def test_what_can_be_split_passes() -> None:
    for settings in ({"strategy": "fsdp", "num_nodes": 2}, {"strategy": "hsdp", "devices": 2, "num_nodes": 2}):
        check_sharding(MachineSettings(**settings))  # type: ignore[arg-type]
    check_sharding(MachineSettings(precision="16-mixed"))

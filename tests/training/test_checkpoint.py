"""Checkpoints: exact round trips, and a refusal of everything that is not exactly what was written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.encoders.build import build_encoder
from selftaught.training.checkpoint import flatten_optimizer, load_checkpoint, restore_optimizer, save_checkpoint

META = {"step": 7, "loss": 0.1 + 0.2, "name": "zażółć", "none": None, "nested": {"list": [1, 2.5, True]}}


def small_tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    shared = torch.randn(3)
    return {
        "weight": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "half": torch.randn(5).bfloat16(),
        "count": torch.tensor(3),
        "state": torch.randint(0, 255, (9,), dtype=torch.uint8),
        "mask": torch.tensor([True, False]),
        "empty": torch.empty(0, 4),
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
        "a": shared,
        "b": shared,
        "part": shared[1:],
    }


def same_bits(a: Tensor, b: Tensor) -> bool:
    raw = [t.contiguous().reshape(-1).view(torch.uint8) if t.numel() else t for t in (a, b)]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*raw)


def test_round_trip_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    tensors = small_tensors()
    save_checkpoint(path, tensors, META)
    loaded, meta = load_checkpoint(path)
    assert meta == META
    assert list(loaded.keys() ^ tensors.keys()) == []
    assert all(same_bits(loaded[name], tensors[name]) for name in tensors)
    assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]


def test_loaded_tensors_can_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"x": torch.zeros(4)}, {})
    loaded, _ = load_checkpoint(path)
    loaded["x"].add_(1)
    assert loaded["x"].sum() == 4
    assert load_checkpoint(path)[0]["x"].sum() == 0


def test_one_flipped_bit_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"x": torch.arange(4.0), "y": torch.ones(2, dtype=torch.int64)}, {"step": 3})
    whole = path.read_bytes()
    assert len(whole) < 500
    for place in range(len(whole)):
        for flip in (0x20, 0x2A):  # a letter changes its case, a space becomes a line feed
            damaged = bytearray(whole)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"c\.safetensors") as caught:
                load_checkpoint(path)
            assert "\n" not in str(caught.value)
            assert path.read_bytes() == bytes(damaged)
    path.write_bytes(whole)
    assert load_checkpoint(path)[1] == {"step": 3}


def test_truncated_and_lengthened_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"x": torch.arange(4.0)}, {"step": 3})
    whole = path.read_bytes()
    for damaged in [whole[:n] for n in range(len(whole))] + [whole + b"\0", whole + whole]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"c\.safetensors"):
            load_checkpoint(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    pickled = tmp_path / "pickled.pth"
    torch.save({"x": torch.zeros(2)}, pickled)
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"\xff\xd8" + bytes(5000))
    for path in (pickled, picture):
        with pytest.raises(ValueError, match="is not a checkpoint"):
            load_checkpoint(path)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        load_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_another_format_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "later.safetensors"
    with monkeypatch.context() as later:
        later.setattr("selftaught.training.checkpoint.VERSION", 2)
        save_checkpoint(path, {"x": torch.zeros(2)}, {})
    with pytest.raises(ValueError, match=r"later\.safetensors has format version 2, this selftaught reads version 1"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"x": torch.zeros(2)}, {"step": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(path, {"x": torch.ones(2)}, {"step": object()})
    path.with_name(".last.safetensors.part").mkdir()  # the draft cannot be opened, as on a full or broken disk
    with pytest.raises(OSError, match="directory"):
        save_checkpoint(path, {"x": torch.ones(2)}, {"step": 2})
    assert path.read_bytes() == before


def steps(optimizer: torch.optim.Optimizer, model: nn.Module, count: int) -> None:
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    for _ in range(count):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.8, 0.95)),
        lambda p: torch.optim.AdamW(p, lr=torch.tensor(1e-3), amsgrad=True),
    ],
    ids=["momentum", "plain", "adamw", "tensor_lr"],
)
def test_optimizer_goes_on_as_if_never_stopped(make: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 4)
    optimizer = make([{"params": [model.weight], "name": "decayed"}, {"params": [model.bias], "weight_decay": 0.0}])
    steps(optimizer, model, 3)
    tensors, plain = flatten_optimizer(optimizer.state_dict())
    weights = {f"model.{k}": v for k, v in model.state_dict().items()}
    save_checkpoint(tmp_path / "c", tensors | weights, {"optimizer": plain})
    steps(optimizer, model, 3)

    loaded, meta = load_checkpoint(tmp_path / "c")
    again = nn.Linear(4, 4)
    again.load_state_dict({k.removeprefix("model."): v for k, v in loaded.items() if k.startswith("model.")})
    other = make([{"params": [again.weight]}, {"params": [again.bias]}])
    other.load_state_dict(restore_optimizer(loaded, meta["optimizer"]))
    steps(other, again, 3)
    assert torch.equal(model.weight, again.weight)
    assert torch.equal(model.bias, again.bias)


def test_optimizer_state_keeps_tuples_and_integer_keys() -> None:
    state = {"state": {0: {"step": torch.tensor(3.0), "v": None}, 10: {}}, "param_groups": [{"betas": (0.9, 0.999)}]}
    tensors, plain = flatten_optimizer(state)
    assert list(tensors) == ["state.0.step"]
    assert restore_optimizer(tensors, json.loads(json.dumps(plain))) == state


def test_resnet18_with_momentum_is_written_in_half_a_second(tmp_path: Path) -> None:
    encoder = build_encoder("resnet18", size=64)
    weights = encoder.state_dict()
    tensors = weights | {f"momentum.{name}": value.clone() for name, value in weights.items()}
    seconds = []
    for _ in range(5):
        start = time.process_time()  # not wall time: other processes may share the cores
        save_checkpoint(tmp_path / "last.safetensors", tensors, {"step": 1})
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5

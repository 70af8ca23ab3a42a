"""Weights as other programs save them: read by one rule, and what is ambiguous or does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import load_weights, network_of
from tests.encoders.weights.layouts import LAYOUTS, behind, dino, dinov2_training, head, lightly

SMALL = "timm:test_resnet"


@pytest.fixture
def encoder() -> Encoder:
    return build_encoder(SMALL, size=32)


def filled(encoder: Encoder, value: int) -> dict[str, Tensor]:
    return {key: torch.full_like(old, value) for key, old in network_of(encoder)[0].state_dict().items()}


def values(encoder: Encoder) -> set[float]:
    return {float(one) for value in network_of(encoder)[0].state_dict().values() for one in value.unique()}


def refused(encoder: Encoder, path: Path, content: Any, **how: str) -> str:
    torch.save(content, path)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(ValueError, match=r"weights ") as caught:
        load_weights(encoder, path, **how)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    return str(caught.value)


@pytest.mark.parametrize("name", LAYOUTS)
def test_checkpoints_of_every_program_are_read(name: str, tmp_path: Path, encoder: Encoder) -> None:
    make, place = LAYOUTS[name]
    if make is lightly:
        encoder = build_encoder("resnet18", size=32, stem="standard")
    torch.save(make(filled(encoder, 1), filled(encoder, 3)), tmp_path / "w.ckpt")
    taken = load_weights(encoder, tmp_path / "w.ckpt")
    assert (taken.fit.front, taken.tensors) == (place, len(filled(encoder, 1)))
    assert values(encoder) == {1}


def test_what_was_read_is_said(tmp_path: Path, encoder: Encoder) -> None:
    count, path = len(filled(encoder, 1)), tmp_path / "w.pth"
    make, _ = LAYOUTS["moco"]
    torch.save(make(filled(encoder, 1), filled(encoder, 3)), path)
    assert str(load_weights(encoder, path)) == (
        f"read {count} tensors of {path} under 'state_dict' without the prefix 'module.encoder_q.'; left aside: fc; "
        "encoder_k would fit too: w.pth#encoder_k"
    )
    torch.save(filled(encoder, 2), path)
    assert str(load_weights(encoder, path)) == f"read {count} tensors of {path}"
    assert values(encoder) == {2}


@pytest.mark.parametrize("make", [dino, dinov2_training])
def test_student_and_teacher_are_refused_with_the_choices(make: Any, tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "w.pth"
    said = refused(encoder, path, make(filled(encoder, 1), filled(encoder, 3)))
    assert "hold 2 that fit encoder 'timm:test_resnet'" in said
    assert said.endswith(f", such as {path}#{'teacher' if make is dino else 'student'}")
    for choice, value in (("teacher", 1), ("student", 3)):
        load_weights(encoder, path, choice=choice)
        assert values(encoder) == {value}
    with pytest.raises(ValueError, match=r"unknown part of weights .*'teachr'; did you mean teacher"):
        load_weights(encoder, path, choice="teachr")


def test_two_names_of_one_network_are_not_ambiguous(tmp_path: Path, encoder: Encoder) -> None:
    """Lightning writes a module twice that two others hold."""
    own = filled(encoder, 1)
    uncounted = {key: value for key, value in own.items() if not key.endswith("num_batches_tracked")}
    torch.save({"state_dict": behind("model.", own) | behind("backbone.", uncounted)}, tmp_path / "w.pth")
    assert load_weights(encoder, tmp_path / "w.pth").fit.prefix == "model."


def test_unusual_places_are_read_where_only_one_fits(tmp_path: Path, encoder: Encoder) -> None:
    own, path = filled(encoder, 1), tmp_path / "w.pth"
    torch.save({"ema": behind("momentum_net.", own)}, path)
    assert load_weights(encoder, path).fit.front == "ema.momentum_net"
    said = refused(encoder, path, {"a": own, "b": filled(encoder, 2)})
    assert "hold 2 that fit encoder 'timm:test_resnet': a, b; choose one" in said


def test_what_does_not_fit_is_named_behind_its_prefix(tmp_path: Path, encoder: Encoder) -> None:
    own, path = filled(encoder, 1), tmp_path / "w.pth"
    short = {key: value for key, value in own.items() if not key.startswith("layer4")}
    said = refused(encoder, path, {"state_dict": behind("backbone.", short)})
    assert "the file behind 'state_dict.backbone' lacks layer4.0.conv1.weight" in said
    assert "has unknown layer9" in refused(encoder, path, behind("module.", own | {"layer9.0.weight": torch.ones(1)}))
    said = refused(encoder, path, head("other."))
    assert "none of its 3 tensors has a name of that encoder's (other.0.weight, other.0.bias, " in said


def test_a_run_of_this_library_is_read_as_a_file_too(tmp_path: Path, encoder: Encoder) -> None:
    own = {f"task.encoder.net.{key}": value for key, value in filled(encoder, 1).items()}
    teacher = {key.replace("encoder", "key_encoder"): value * 3 for key, value in own.items()}
    save_file(own | teacher | {"optimizer.x": torch.ones(2)}, tmp_path / "last.safetensors")
    assert load_weights(encoder, tmp_path / "last.safetensors").fit.front == "task.encoder.net"
    assert values(encoder) == {1}


def test_weights_of_a_training_that_diverged_are_refused(tmp_path: Path, encoder: Encoder) -> None:
    weights = filled(encoder, 1)
    name = next(name for name, value in weights.items() if value.is_floating_point())
    weights[name] = torch.full_like(weights[name], torch.nan)
    found = refused(encoder, tmp_path / "w.pth", weights)
    assert f"hold numbers that are not finite (such as in {name})" in found

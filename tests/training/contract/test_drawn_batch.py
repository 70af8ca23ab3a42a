"""Every input has the shape and type that the data give it."""

from __future__ import annotations

import torch

from selftaught.data.inputs import GIVEN, Clip, Computed, Given, Image, Input, Sound
from selftaught.training.contract.drawn_batch import SAMPLES, drawn_batch


def test_every_kind_of_input_is_drawn() -> None:
    inputs: dict[str, Input] = {
        "image": Image(),
        "clip": Clip(frames=3),
        "sound": Sound(seconds=0.5),
        "label": Given("label"),
        "of_clip": Computed("optical_flow", like="clip"),
    }
    for what in GIVEN:
        inputs |= {what: Given(what), f"{what}s": Given(what, like="clip")}  # type: ignore[arg-type]
    batch = drawn_batch(inputs, 32, torch.Generator().manual_seed(0))
    assert batch["clip"].shape == (SAMPLES, 3, 3, 40, 40)
    assert batch["of_clip"].shape == (SAMPLES, 3, 2, 40, 40)
    for what, kind in GIVEN.items():
        shape = (*kind.shape, 40, 40) if kind.is_map else kind.shape
        assert batch[what].shape == (SAMPLES, *shape), what
        assert batch[f"{what}s"].shape == (SAMPLES, 3, *shape), what
        assert batch[what].dtype == getattr(torch, kind.dtype), what
    assert torch.allclose(batch["normals"].norm(dim=1), torch.ones(SAMPLES, 40, 40))

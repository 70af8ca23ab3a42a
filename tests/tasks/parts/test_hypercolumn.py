"""Hypercolumns: the sum over stages on one grid, of images and of clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.encoders.base import Encoder, StageKind
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages, resized, stage_shapes

Make = Callable[[], Encoder]


def test_stages_of_images_are_mapped_resized_and_added(tiny_encoder: Make) -> None:
    encoder = tiny_encoder().eval()
    made = Hypercolumn(encoder, 32, out=5, side=8, width=4).eval()
    x = torch.randn(2, 3, 32, 32)
    stages = placed_stages(encoder, x)
    assert {name: tuple(f.shape[1:]) for name, f in stages.items()} == stage_shapes(encoder, 32)
    total = torch.zeros(2, 4, 8, 8)
    for name, features in stages.items():
        conv = made.reduce[name]
        mapped = torch.einsum("nchw,oc->nohw", features, conv.weight[:, :, 0, 0]) + conv.bias[:, None, None]  # type: ignore[index]
        total += mapped if mapped.shape[-1] == 8 else F.interpolate(mapped, (8, 8), mode="bilinear")
    torch.testing.assert_close(made(stages), made.classify(total), atol=1e-5, rtol=1e-4)


def test_clips_keep_their_times_or_are_averaged(tiny_clip_encoder: Make) -> None:
    encoder = tiny_clip_encoder().eval()
    stages = placed_stages(encoder, torch.randn(2, 3, 4, 16, 16))
    assert Hypercolumn(encoder, 16, out=5, side=8, width=4, frames=4)(stages).shape == (2, 5, 4, 8, 8)
    assert Hypercolumn(encoder, 16, out=5, side=8, width=4, frames=4, steps=1)(stages).shape == (2, 5, 1, 8, 8)
    x = torch.randn(1, 2, 4, 3, 3)
    torch.testing.assert_close(resized(x, (1, 3, 3)), x.mean(2, keepdim=True))
    assert resized(x, (4, 3, 3)) is x


def test_an_encoder_that_ends_in_a_sequence_is_refused(
    tiny_clip_encoder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny_clip_encoder()

    def kind(stage: str) -> StageKind:
        return "sequence" if stage == "conv2" else "clip"

    monkeypatch.setattr(encoder, "stage_kind", kind)
    with pytest.raises(ValueError, match=r"'tiny clips' ends in a sequence, .* such as mean:resnet18 or r3d_18"):
        Hypercolumn(encoder, 16, out=5, side=8, frames=4)


def test_stages_with_dots_in_their_names_have_modules(tiny_encoder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder()
    monkeypatch.setattr(encoder, "stages", ("a.0", "a.1", "a.2"))
    x: Tensor = torch.randn(1, 3, 16, 16)
    assert Hypercolumn(encoder, 16, out=2, side=4)(placed_stages(encoder, x)).shape == (1, 2, 4, 4)

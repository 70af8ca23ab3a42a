"""How images, clips and audio are shown to encoders and to people."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import encoder_view, input_for, modality_of, pooled_features
from selftaught.encoders.names import Kind
from selftaught.ops.colour import denormalise


class Mean(Encoder):
    """Features are the mean of each channel, over all other axes."""

    name, num_features, stages = "mean", 3, ("mean",)

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"mean": x}

    def forward_features(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


def ramp(count: int = 2, frames: int = 5, side: int = 12) -> Tensor:
    """Clips (N, T, 3, S, S) whose frame t of sample n is all of grey level 40 n + 10 t."""
    level = 40 * torch.arange(count)[:, None] + 10 * torch.arange(frames)
    return level[..., None, None, None].expand(count, frames, 3, side, side).to(torch.uint8)


def test_an_encoder_takes_the_first_input_of_its_kind() -> None:
    inputs = {"label": torch.zeros(2), "audio": torch.zeros(2, 9), "clip": ramp(), "image": ramp()[:, 0]}
    assert [input_for(kind, inputs) for kind in ("image", "video", "audio")] == ["clip", "clip", "audio"]
    with pytest.raises(ValueError, match="this encoder takes video, but the data give image"):
        input_for("video", {"image": ramp()[:, 0]})


def test_clips_are_shown_whole_or_as_rows_of_frames() -> None:
    assert encoder_view(Mean("video"), {"clip": ramp()}, 8).shape == (2, 3, 5, 8, 8)
    assert encoder_view(Mean("image"), {"clip": ramp()}, 8).shape == (10, 3, 8, 8)
    for kind in ("video", "image"):
        found = pooled_features(Mean(kind), {"clip": ramp()}, 8)
        levels = denormalise(found[..., None, None])[:, :, 0, 0] * 255
        assert torch.allclose(levels, torch.tensor([20.0, 60.0])[:, None].expand(2, 3), atol=0.5)


@pytest.mark.parametrize("inputs", [ramp(), ramp()[:, 0], torch.linspace(-1, 1, 3200).repeat(2, 1)])
def test_views_keep_the_shape_and_depend_on_the_generator_alone(inputs: Tensor) -> None:
    noisy = inputs + torch.randint(0, 9, inputs.shape, generator=generator("noise")).to(inputs.dtype)
    modality = modality_of(noisy)
    views: list[Any] = [modality.light_crop, modality.light_view]
    for view in views:
        first, again, other = (view(noisy, 8, generator("view", seed)) for seed in (0, 0, 1))
        assert first.ndim == inputs.ndim
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    shown = modality.training_view(noisy, 8, generator("train"), min_scale=0.5)
    assert shown.shape[0] == 2
    assert shown.ndim == (5 if inputs.ndim == 5 else 4)


def test_of_a_clip_every_frame_is_seen_and_of_audio_nothing() -> None:
    seen = modality_of(ramp()).seen(ramp(), 6)
    assert seen is not None
    assert seen.shape == (*ramp().shape[:3], 6, 6)
    assert torch.allclose(seen.mean((2, 3, 4)) * 255, ramp().float().mean((2, 3, 4)), atol=0.5)
    assert modality_of(torch.zeros(2, 9)).seen(torch.zeros(2, 9), 6) is None


def test_images_of_other_channels_are_known_by_their_name() -> None:
    five = torch.zeros(2, 5, 8, 8)
    assert input_for("image", {"flow": five[:, :2], "image": five}) == "image"
    with pytest.raises(ValueError, match="this encoder takes image"):
        input_for("image", {"flow": five[:, :2]})

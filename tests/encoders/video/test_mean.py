"""The features of all frames, averaged over time."""

from __future__ import annotations

import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.mean import MeanEncoder


@torch.no_grad()
def test_features_are_the_mean_of_those_of_the_frames() -> None:
    encoder = build_encoder("mean:timm:test_resnet", size=32).eval()
    assert isinstance(encoder, MeanEncoder)
    clips = torch.randn(2, 3, 4, 32, 32)
    frames = torch.stack([encoder.image(clips[:, :, t]) for t in range(4)], 1)
    torch.testing.assert_close(encoder(clips), frames.mean(1))

"""torchvision's MViTv2 for clips of any size and length."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.models import video

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.mvit import MvitEncoder


def published(encoder: MvitEncoder, clips: Tensor) -> Tensor:
    """The features of torchvision's own network, built for the size of these clips."""
    net = video.mvit_v2_s()
    net.load_state_dict(encoder.net.state_dict(), strict=False)
    net.head = torch.nn.Identity()
    net.pos_encoding.temporal_size = clips.shape[2] // 2
    net.pos_encoding.spatial_size = (clips.shape[3] // 4, clips.shape[4] // 4)
    features: Tensor = net.eval()(clips)
    return features


@pytest.mark.parametrize(
    ("size", "frames"),
    [(32, 4), pytest.param(224, 16, marks=pytest.mark.slow)],  # 64 GFLOP twice
)
@torch.no_grad()
def test_features_are_those_of_the_network(size: int, frames: int) -> None:
    encoder = build_encoder("mvit_v2_s", size=size, stem="standard").eval()
    assert isinstance(encoder, MvitEncoder)
    clips = torch.randn(1, 3, frames, size, size)
    torch.testing.assert_close(encoder(clips), published(encoder, clips))
    stages = encoder.forward_stages(clips)
    widths = [(96, size // 4), (192, size // 8), (384, size // 16), (768, size // 32)]
    assert [tuple(x.shape) for x in stages.values()] == [(1, d, frames // 2, side, side) for d, side in widths]
    torch.testing.assert_close(encoder.forward_features(clips), stages["stage4"])

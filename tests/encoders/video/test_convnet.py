"""The ConvNet of clips: the layers published, any length and side, the small stem, and channels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import encoder_names


def test_layers_and_parameters_are_those_published() -> None:
    encoder = build_encoder("video_convnet", size=64, stem="standard").eval()
    convs = [module for module in encoder.modules() if isinstance(module, nn.Conv3d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding) for c in convs] == [
        (before, after, (4, 4, 4), (2, 2, 2), (1, 1, 1))
        for before, after in ((3, 64), (64, 128), (128, 256), (256, 512))
    ]
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm3d)]
    assert [(norm.num_features, norm.eps) for norm in norms] == [(128, 1e-3), (256, 1e-3), (512, 1e-3)]
    assert sum(p.numel() for p in encoder.parameters()) == 64 * (3 * 128 // 2 + 128 * 64 + 256 * 128 + 512 * 256) + (
        64 + 2 * (128 + 256 + 512)
    )
    (info,) = [info for info in encoder_names() if info.name == "video_convnet"]
    assert encoder.stages == info.stages
    with torch.no_grad():
        found = encoder.forward_stages(torch.randn(1, 3, 32, 64, 64))
    assert [tuple(x.shape[1:]) for x in found.values()] == [
        (64, 16, 32, 32), (128, 8, 16, 16), (256, 4, 8, 8), (512, 2, 4, 4),
    ]  # fmt: skip


def test_features_are_those_of_plain_layers() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("video_convnet", size=64, stem="standard").eval()
    clips = torch.randn(2, 3, 16, 32, 32)
    x: Tensor = clips
    with torch.no_grad():
        for block in encoder.blocks.values():  # type: ignore[operator]
            conv, *others = block
            x = F.conv3d(x, conv.weight, conv.bias, stride=2, padding=1)
            if isinstance(others[0], nn.BatchNorm3d):
                x = x * (others[0].weight / (1 + 1e-3) ** 0.5).view(-1, 1, 1, 1)
            x = torch.where(x > 0, x, 0.2 * x)
        assert torch.allclose(encoder.forward_features(clips), x, atol=1e-5)
        assert torch.allclose(encoder(clips), x.mean((2, 3, 4)), atol=1e-5)
    assert (encoder.kind, encoder.num_features) == ("video", 512)


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 16, 16), (3, 40, 24), (16, 8, 8)])
def test_any_length_and_side_gives_one_vector(shape: tuple[int, int, int]) -> None:
    encoder = build_encoder("video_convnet", size=64, stem="standard").eval()
    with torch.no_grad():
        stages = encoder.forward_stages(torch.randn(1, 3, *shape))
        assert encoder(torch.randn(1, 3, *shape)).shape == (1, 512)
    for k, features in enumerate(stages.values(), start=1):
        assert tuple(features.shape[2:]) == tuple(max(1, length >> k) for length in shape)


def test_the_small_stem_keeps_the_side_and_channels_are_those_asked_for() -> None:
    encoder = build_encoder("20ch:video_convnet", size=16).eval()
    assert encoder.channels == 20
    with torch.no_grad():
        first = encoder.forward_stages(torch.randn(1, 20, 4, 16, 16))["conv1"]
    assert tuple(first.shape[1:]) == (64, 2, 16, 16)

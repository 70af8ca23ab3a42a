"""torchvision's 3-D networks: stages, the small stem, and the same features as the network itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selftaught.encoders.build import build_encoder


def test_features_are_those_of_the_network() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("r3d_18", size=64, stem="standard").eval()
    clip = torch.randn(1, 3, 4, 64, 64)
    with torch.no_grad():
        stages = encoder.forward_stages(clip)
        assert torch.equal(encoder(clip), encoder.net(clip))  # type: ignore[operator]
        assert torch.allclose(encoder(clip), stages["layer4"].mean((2, 3, 4)), atol=1e-5)
    assert list(stages) == list(encoder.stages)
    assert encoder.kind == "video"
    assert encoder.num_features == 512
    assert stages[encoder.stages[0]].shape[-2:] == (32, 32)


@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])
def test_the_small_stem_keeps_the_side_of_the_frames(name: str) -> None:
    encoder = build_encoder(name, size=16, stem="small").eval()
    with torch.no_grad():
        first = encoder.forward_stages(torch.randn(1, 3, 2, 16, 16))[encoder.stages[0]]
    assert first.shape[-3:] == (2, 16, 16)
    conv = encoder.net.stem[0]  # type: ignore[union-attr, index]
    assert isinstance(conv, nn.Conv3d)
    assert (conv.kernel_size[1:], conv.stride, conv.padding[1:]) == ((3, 3), (1, 1, 1), (1, 1))

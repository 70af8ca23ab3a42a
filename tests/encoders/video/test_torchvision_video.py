"""torchvision's networks of clips: stages, the small stem, and the same features as the network itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import video

from selftaught.encoders.build import build_encoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.encoders.trimmed_convolutions import trim_kernels


def built(name: str, size: int, **named: Any) -> StagedEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size, **named).eval()
    assert isinstance(encoder, StagedEncoder)
    return encoder


@pytest.mark.parametrize(("name", "width", "side"), [("r3d_18", 512, 32), ("s3d", 1024, 32), ("swin3d_t", 768, 16)])
@torch.no_grad()
def test_features_are_those_of_the_network(name: str, width: int, side: int) -> None:
    encoder = built(name, 64, stem="standard")
    clip = torch.randn(1, 3, 6, 64, 64)
    stages = encoder.forward_stages(clip)
    torch.testing.assert_close(encoder(clip), encoder.net(clip))
    torch.testing.assert_close(encoder(clip), stages[encoder.stages[-1]].mean((2, 3, 4)), rtol=1e-4, atol=1e-5)
    assert list(stages) == list(encoder.stages)
    assert {encoder.stage_kind(stage) for stage in stages} == {"clip"}
    assert (encoder.kind, encoder.num_features) == ("video", width)
    assert stages[encoder.stages[0]].shape[-2:] == (side, side)
    published = getattr(video, name)()
    missing, unexpected = published.load_state_dict(encoder.net.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith(encoder.layout.classifier) for key in missing)


@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18", "s3d"])
@torch.no_grad()
def test_the_small_stem_keeps_the_side_of_the_frames(name: str) -> None:
    encoder = built(name, 16, stem="small")
    first = encoder.forward_stages(torch.randn(1, 3, 5, 16, 16))[encoder.stages[0]]
    assert first.shape[-3:] == ((3 if name == "s3d" else 5), 16, 16)
    conv = next(module for module in encoder.modules() if isinstance(module, nn.Conv3d))
    assert (conv.kernel_size[1:], conv.stride, conv.padding[1:]) == ((3, 3), (1, 1, 1), (1, 1))


@torch.no_grad()
def test_the_small_stem_of_a_transformer_halves_it() -> None:
    encoder = built("swin3d_t", 16)
    stages = encoder.forward_stages(torch.randn(1, 3, 4, 16, 16))
    assert [tuple(x.shape[1:]) for x in stages.values()] == [
        (96, 2, 8, 8), (192, 2, 4, 4), (384, 2, 2, 2), (768, 2, 1, 1)
    ]  # fmt: skip


def test_clips_that_are_too_short_are_one_sentence() -> None:
    encoder = built("s3d", 32)
    with pytest.raises(ValueError, match=r"'s3d' needs clips of at least 5 frames, got 4; raise --frames"):
        encoder(torch.zeros(1, 3, 4, 32, 32))
    with pytest.raises(ValueError, match="encoder 's3d' needs images of at least 17 x 17 pixels"):
        build_encoder("s3d", size=16, stem="standard")
    with torch.no_grad():
        encoder(torch.zeros(1, 3, 5, 9, 9))
        built("s3d", 17, stem="standard")(torch.zeros(1, 3, 5, 17, 17))


@pytest.mark.parametrize("name", ["swin3d_t", "mvit_v2_s"])
@torch.no_grad()
def test_transformers_take_a_single_frame(name: str) -> None:
    assert built(name, 32)(torch.randn(2, 3, 1, 32, 32)).shape == (2, 768)


@pytest.mark.parametrize("name", ["s3d", "swin3d_t", "mvit_v2_s"])
def test_every_weight_learns_without_random_numbers(name: str) -> None:
    encoder = built(f"2ch:{name}", 16).train()
    trim_kernels(encoder)  # as training does: kernels longer than the clip write beyond their memory without
    clips = torch.randn(2, 2, 5, 16, 16)
    state = torch.get_rng_state()
    features = encoder(clips)
    assert torch.equal(torch.get_rng_state(), state)
    (features * torch.randn_like(features)).sum().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []

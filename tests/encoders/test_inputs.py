"""Encoders that see grey or gradients: what reaches the network, and that the network stays the library's."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.encoders.build import build_encoder
from selftaught.encoders.inputs import see_grey, see_sobel
from selftaught.encoders.staged import StagedEncoder
from selftaught.ops.colour import denormalise, normalise, to_grey
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab


def pictures(n: int = 2, side: int = 32) -> Tensor:
    return normalise(torch.rand(n, 3, side, side, generator=generator("pictures")))


def other_colours(x: Tensor) -> Tensor:
    """Other images in the same lightness: (a, b) turned by half a circle where that stays within sRGB, else grey."""
    lab = rgb_to_lab(denormalise(x))
    turned = lab_to_rgb(lab * torch.tensor([1.0, -1.0, -1.0])[:, None, None])
    is_kept = (rgb_to_lab(turned)[:, :1] - lab[:, :1]).abs() < 1e-2
    grey = lab_to_rgb(lab * torch.tensor([1.0, 0.0, 0.0])[:, None, None])
    return normalise(torch.where(is_kept, turned, grey))


def build(name: str, size: int = 32) -> StagedEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size)
    assert isinstance(encoder, StagedEncoder)
    return encoder.eval()


def test_grey_is_three_equal_channels_of_the_same_lightness() -> None:
    x = pictures()
    seen = denormalise(see_grey(x))
    assert see_grey(x).is_contiguous(memory_format=torch.channels_last)
    assert float((seen - seen[:, :1]).abs().max()) < 1e-6
    assert torch.allclose(rgb_to_lab(seen)[:, 0], rgb_to_lab(denormalise(x))[:, 0], atol=1e-2)
    assert torch.allclose(see_grey(see_grey(x)), see_grey(x), atol=1e-4)


def test_guard_grey_carries_no_colour() -> None:
    """Images that differ in a and b alone look the same, to rounding; luma would separates them."""
    x = pictures()
    other = other_colours(x)
    assert float((x - other).abs().mean()) > 0.3
    assert torch.allclose(see_grey(x), see_grey(other), atol=1e-3)
    assert float((to_grey(denormalise(x)) - to_grey(denormalise(other))).abs().max()) > 0.02
    with torch.no_grad():
        features, others = build("grey:resnet18")(torch.cat([x, other])).chunk(2)
        plain, recoloured = build("resnet18")(torch.cat([x, other])).chunk(2)
    apart = float((features - others).abs().max() / features.abs().max())
    assert apart < 1e-3 < 0.02 < float((plain - recoloured).abs().max() / plain.abs().max())


def test_sobel_is_the_filter_at_every_pixel() -> None:
    x = pictures(1, 6)
    seen = see_sobel(x)
    grey = to_grey(x)[0, 0].tolist()
    kernel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]

    def at(i: int, j: int) -> float:
        return float(grey[min(max(i, 0), 5)][min(max(j, 0), 5)])

    for i, j in ((0, 0), (2, 3), (5, 4)):
        near = [(p, q) for p in range(3) for q in range(3)]
        across = sum(kernel[p][q] * at(i + p - 1, j + q - 1) for p, q in near)
        down = sum(kernel[q][p] * at(i + p - 1, j + q - 1) for p, q in near)
        assert seen[0, :, i, j].tolist() == pytest.approx([across, down, 0.0], abs=1e-4)
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_sobel_sees_no_tone_and_autocast_rounds_nothing() -> None:
    x = pictures()
    assert torch.allclose(see_sobel(x + 1), see_sobel(x), atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(see_sobel(x), see_sobel(x.clone()))
        seen = see_sobel(x), see_grey(x)
    assert torch.equal(seen[0], see_sobel(x))
    assert torch.equal(seen[1], see_grey(x))


@pytest.mark.parametrize("prefix", ["grey", "sobel"])
def test_encoder_is_the_plain_one_behind_its_front(prefix: str) -> None:
    x = pictures()
    plain, fronted = build("resnet18"), build(f"{prefix}:resnet18")
    assert fronted.name == f"{prefix}:resnet18"
    assert fronted.num_features == plain.num_features
    assert fronted.stages == plain.stages
    seen = {"grey": see_grey, "sobel": see_sobel}[prefix](x)
    assert torch.equal(fronted(x), plain(seen))
    assert not torch.allclose(fronted(x), plain(x))
    for stage, features in fronted.forward_stages(x).items():
        assert torch.equal(features, plain.forward_stages(seen)[stage])


def test_weights_keep_the_librarys_names() -> None:
    encoder = build("grey:resnet18", size=64)
    published = torchvision.models.resnet18(weights=None)
    published.fc = torch.nn.Identity()
    published.load_state_dict(encoder.net.state_dict(), strict=True)
    x = pictures(2, 64)
    assert torch.allclose(published.eval()(see_grey(x)), encoder(x), atol=1e-5)


@pytest.mark.parametrize("name", ["r3d_18", "video_convnet", "videovit_tiny"])
def test_encoders_of_clips_see_each_frame_so(name: str) -> None:
    clips = pictures(2 * 4, 16).unflatten(0, (2, 4)).transpose(1, 2)
    grey = torch.stack([see_grey(frame) for frame in clips.unbind(2)], 2)
    assert torch.equal(see_grey(clips), grey)
    torch.manual_seed(0)
    plain = build_encoder(name, size=16).eval()
    torch.manual_seed(0)
    fronted = build_encoder(f"grey:{name}", size=16).eval()
    assert (fronted.name, fronted.kind, fronted.stages) == (f"grey:{name}", "video", plain.stages)
    assert fronted.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        assert torch.allclose(fronted(clips), plain(grey), atol=1e-5)
        assert not torch.allclose(fronted(clips), plain(clips), atol=1e-3)
        assert torch.allclose(fronted.forward_features(clips), plain.forward_stages(grey)[plain.stages[-1]], atol=1e-5)


def test_any_encoder_of_images_or_clips_and_no_other() -> None:
    assert build("sobel:timm:vit_tiny_patch16_224")(pictures()).shape == (2, 192)
    for name in ("grey:sobel:resnet18", "grey:sobel:r3d_18", "sobel:split:resnet18", "grey:audio_convnet"):
        with pytest.raises(ValueError, match="goes before the name of one encoder of images"):
            build_encoder(name, size=32)

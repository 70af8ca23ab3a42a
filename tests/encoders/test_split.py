"""Split encoders: half the width each, the right channels to the right half, features of both together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from selftaught.core.randomness import generator
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.split import SplitEncoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab

NAMES = ("alexnet", "vgg11", "vgg11_bn", "googlenet", "resnet18", "resnet50", "resnext50_32x4d", "densenet121")


def pictures(n: int = 2, side: int = 32) -> Tensor:
    return normalise(torch.rand(n, 3, side, side, generator=generator("pictures")))


def build(name: str, size: int = 32) -> SplitEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(f"split:{name}", size=size)
    assert isinstance(encoder, SplitEncoder)
    return encoder.eval()


def weights(encoder: Encoder | nn.Module) -> int:
    return sum(p.numel() for p in encoder.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_each_half_has_half_of_everything(name: str) -> None:
    split, whole = build(name), build_encoder(name, size=32).eval()
    assert isinstance(whole, StagedEncoder)
    assert split.num_features == whole.num_features
    assert split.lightness.num_features == split.colour.num_features == whole.num_features // 2
    assert split.stages == whole.stages
    assert split.layout.least_side == whole.layout.least_side
    assert list(split.colour.net.state_dict()) == list(whole.net.state_dict())
    assert weights(split) == pytest.approx(weights(whole) / 2, rel=0.1)
    with torch.no_grad():
        x = pictures(1)
        found, published = split.forward_stages(x), whole.forward_stages(x)
        assert [f.shape for f in found.values()] == [f.shape for f in published.values()]
        features, pooled = split.forward_features(x), split(x)
    last = split.stages[-1]
    assert torch.allclose(features, found[last], atol=1e-5)
    assert torch.allclose(pooled, features.mean((2, 3)), atol=1e-4)
    assert float(pooled.std()) > 0


def test_features_are_those_of_the_two_halves() -> None:
    split, x = build("resnet18"), pictures()
    grey, colour = split.halves(x)
    half = split.num_features // 2
    assert torch.equal(split(x)[:, :half], split.lightness(grey))
    assert torch.equal(split(x)[:, half:], split.colour(colour))
    stages = split.forward_stages(x)
    assert torch.equal(stages["layer1"][:, :32], split.lightness.forward_stages(grey)["layer1"])
    assert torch.equal(stages["layer1"][:, 32:], split.colour.forward_stages(colour)["layer1"])


def test_guard_neither_half_sees_what_the_other_does() -> None:
    """Change a and b alone, or L alone, within sRGB: one half's input stays, to rounding, and the other's does not."""
    lab = torch.cat([torch.full((2, 1, 8, 8), 60.0), torch.rand(2, 2, 8, 8, generator=generator("ab")) * 40 - 20], 1)
    recoloured, lighter = lab.clone(), lab.clone()
    recoloured[:, 1:] *= -1
    lighter[:, 0] = 50.0
    seen = [SplitEncoder.halves(normalise(lab_to_rgb(x))) for x in (lab, recoloured, lighter)]
    assert torch.allclose(seen[0][0], seen[1][0], atol=1e-3)
    assert torch.allclose(seen[0][1], seen[2][1], atol=1e-3)
    assert float((seen[0][1] - seen[1][1]).abs().mean()) > 0.1
    assert float((seen[0][0] - seen[2][0]).abs().mean()) > 0.1
    x = pictures()
    assert torch.allclose(SplitEncoder.halves(x)[1][:, :2] * 50, rgb_to_lab(denormalise(x))[:, 1:], atol=1e-4)


def test_the_halves_start_apart_and_every_weight_learns() -> None:
    split = build("resnet18").train()
    first, second = split.lightness.net.get_parameter("conv1.weight"), split.colour.net.get_parameter("conv1.weight")
    assert not torch.equal(first, second)
    split(pictures(4)).square().sum().backward()
    assert all(p.grad is not None for p in split.parameters())


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split: needs an encoder of torchvision, whose layers can be halved"):
        build_encoder("split:timm:resnet18", size=32)
    with pytest.raises(ValueError, match="goes before the name of one encoder of images"):
        build_encoder("split:grey:resnet18", size=32)
    with pytest.raises(ValueError, match="goes before the name of one encoder of images"):
        build_encoder("split:r3d_18", size=32)

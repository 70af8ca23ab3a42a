"""torchvision's networks, 2-D and 3-D: the shape of every stage, a gradient for every weight, torchvision's numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import EncoderInfo, encoder_names
from selftaught.encoders.staged import StagedEncoder

FAMILIES = ("alexnet", "vgg", "googlenet", "resnet", "densenet", "resnet3d")
INFOS = [info for info in encoder_names() if info.family in FAMILIES]
SLOW = {
    "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "resnet34", "resnet101", "resnet152",
    "resnext50_32x4d", "wide_resnet50_2", "densenet161", "densenet169", "densenet201", "mc3_18", "r2plus1d_18",
}  # fmt: skip
ALL = [pytest.param(info, id=info.name, marks=[pytest.mark.slow] if info.name in SLOW else []) for info in INFOS]

SIDES = {
    ("alexnet", 64): (15, 7, 3, 3, 3),
    ("alexnet", 32): (32, 15, 7, 7, 7),
    ("vgg", 64): (64, 32, 16, 8, 4),
    ("vgg", 32): (32, 32, 16, 8, 4),
    ("googlenet", 64): (32, 16, 8, 4, 2),
    ("googlenet", 32): (32, 32, 16, 8, 4),
    ("resnet", 64): (32, 16, 8, 4, 2),
    ("resnet", 32): (32, 32, 16, 8, 4),
    ("densenet", 64): (32, 16, 8, 4, 2),
    ("densenet", 32): (32, 32, 16, 8, 4),
    ("resnet3d", 64): (32, 32, 16, 8, 4),
    ("resnet3d", 32): (32, 32, 16, 8, 4),
}
BASIC, BOTTLENECK = (64, 64, 128, 256, 512), (64, 256, 512, 1024, 2048)
WIDTHS = {
    "alexnet": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "googlenet": (64, 192, 480, 832, 1024),
    "resnet": BOTTLENECK,
    "resnet18": BASIC,
    "resnet34": BASIC,
    "densenet121": (64, 256, 512, 1024, 1024),
    "densenet161": (96, 384, 768, 2112, 2208),
    "densenet169": (64, 256, 512, 1280, 1664),
    "densenet201": (64, 256, 512, 1792, 1920),
    "resnet3d": BASIC,
}
TIMES = {"r3d_18": (4, 4, 2, 1, 1), "mc3_18": (4, 4, 4, 4, 4), "r2plus1d_18": (4, 4, 2, 1, 1)}


def make(info: EncoderInfo, size: int, **arguments: Any) -> StagedEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(info.name, size=size, **arguments)
    assert isinstance(encoder, StagedEncoder)
    return encoder


@pytest.fixture(scope="module", params=[32, 64])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=ALL)
def info(request: pytest.FixtureRequest) -> EncoderInfo:
    found: EncoderInfo = request.param
    return found


@pytest.fixture(scope="module")
def encoder(info: EncoderInfo, size: int) -> StagedEncoder:
    """Of the network and size at hand: tests are sorted by both, so that each is made once."""
    return make(info, size)


def sample(info: EncoderInfo, size: int) -> Tensor:
    return torch.randn((2, 3, 4, size, size) if info.kind == "video" else (2, 3, size, size))


def test_stages_and_pooled_features(encoder: StagedEncoder, info: EncoderInfo, size: int) -> None:
    encoder.eval()
    x = sample(info, size)
    with torch.no_grad():
        stages, last, pooled = encoder.forward_stages(x), encoder.forward_features(x), encoder(x)
    assert encoder.stem == ("small" if size == 32 else "standard")
    assert tuple(stages) == encoder.stages == info.stages
    sides, widths = SIDES[info.family, size], WIDTHS.get(info.name) or WIDTHS[info.family]
    times = [(t,) for t in TIMES[info.name]] if info.kind == "video" else [()] * 5
    shapes = [(2, width, *time, side, side) for width, time, side in zip(widths, times, sides, strict=True)]
    assert [tuple(stage.shape) for stage in stages.values()] == shapes
    assert torch.equal(stages[info.stages[-1]], last)
    assert pooled.shape == (2, encoder.num_features)
    torch.testing.assert_close(pooled, last.flatten(2).mean(2))


def test_every_weight_gets_a_gradient(encoder: StagedEncoder, info: EncoderInfo, size: int) -> None:
    encoder.train()
    x = sample(info, size)
    random_state = torch.get_rng_state()
    encoder(x).sum().backward()
    assert torch.equal(torch.get_rng_state(), random_state)  # no dropout: randomness is the task's alone
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "googlenet", "resnet18", "densenet121"])
def test_stages_are_what_torchvision_computes(name: str) -> None:
    """Against torchvision's own extraction; in-place operations downstream must not reach what was read."""
    info = next(info for info in INFOS if info.name == name)
    encoder = make(info, 64).eval()
    nodes = {stage: path for stage, path in encoder.layout.stages.items() if path}
    ends = {"alexnet": "features.11", "vgg11_bn": "features.27", "densenet121": "relu"}
    nodes[info.stages[-1]] = nodes.get(info.stages[-1], ends.get(name, ""))
    arguments = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):  # the classifier, which nothing here computes, stays without memory
        published = torchvision.models.get_model(name, weights=None, **arguments)
    assert not published.load_state_dict(encoder.net.state_dict(), strict=False, assign=True).unexpected_keys
    reader = create_feature_extractor(published.eval(), {path: stage for stage, path in nodes.items()})
    x = sample(info, 64)
    with torch.no_grad():
        ours, theirs = encoder.forward_stages(x), reader(x)
    for stage in info.stages:
        torch.testing.assert_close(ours[stage], theirs[stage], rtol=0, atol=0, msg=stage)


def test_gradients_reach_every_stage_that_was_read() -> None:
    """In-place ReLUs after a captured map would make autograd refuse, or change what a probe reads."""
    for name in ("densenet121", "resnet18", "alexnet"):
        info = next(info for info in INFOS if info.name == name)
        encoder = make(info, 32).train()
        stages = encoder.forward_stages(sample(info, 32))
        before = {stage: value.detach().clone() for stage, value in stages.items()}
        sum((value.square().mean() for value in stages.values()), torch.zeros(())).backward()
        assert all(torch.equal(stages[stage], before[stage]) for stage in stages)
        assert stages[info.stages[-1]].min() >= 0


@pytest.mark.parametrize("family", ["alexnet", "vgg11", "googlenet", "densenet121"])
def test_too_small_images_are_one_sentence(family: str) -> None:
    info = next(info for info in INFOS if info.name == family)
    least = make(info, 64, stem="standard").layout.least_side
    encoder = make(info, least, stem="standard").eval()
    assert encoder(sample(info, least)).shape == (2, encoder.num_features)
    sentence = f"encoder '{family}' needs images of at least {least} x {least} pixels, got {least - 1} x {least - 1}"
    with pytest.raises(ValueError, match=sentence):
        make(info, least - 1, stem="standard")
    with pytest.raises(ValueError, match=sentence):
        encoder(sample(info, least - 1))
    small = make(info, 64, stem="small").layout.least_side
    encoder = make(info, small, stem="small").eval()
    assert encoder(sample(info, small)).shape == (2, encoder.num_features)


def test_vgg_weights_are_drawn_as_torchvision_draws_them() -> None:
    """VGG is made without memory first, so its weights are drawn here."""
    net = make(next(info for info in INFOS if info.name == "vgg11_bn"), 64).net
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            assert module.bias.abs().max() == 0
            expected = (2 / (module.out_channels * 9)) ** 0.5  # He et al. 2015, fan out
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_mean.abs().max() == 0
            assert module.weight.min() == module.weight.max() == 1

"""torchvision's 2-D networks: AlexNet, VGG, GoogLeNet, ResNet, DenseNet, and their stems for small images.

Features end at the last convolutional map, so AlexNet and VGG lose their last max pooling with their classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision
from torch import nn

from selftaught.encoders.kernels import set_channels
from selftaught.encoders.names import BLOCKS, CONVS, INCEPTIONS, LAYERS, EncoderInfo
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder, as_python

MAP_FEATURES = "nn.functional.adaptive_avg_pool2d(model.features[:-1](x), 1).flatten(1)"
HEADLESS_FEATURES = "model(x)"


@dataclass(frozen=True, kw_only=True)
class _Parts:
    net: nn.Module
    num_features: int
    layout: Layout
    headless: tuple[str, ...]
    features: str
    replaced: Mapping[str, nn.Module] = field(default_factory=dict)
    arguments: str = ""


def build_image_encoder(info: EncoderInfo, *, size: int, stem: str, channels: int = COLOURS) -> StagedEncoder:
    """A torchvision network for (N, channels, H, W) images with fresh weights.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the images, pixels.
        stem: "standard" as published, or "small": stride 1 and no early pooling.
        channels: of the images.
    """
    parts = _FAMILIES[info.family](info.name, stem == "small")
    replaced = dict(parts.replaced) | (set_channels(parts.net, channels) if channels != COLOURS else {})
    origin = Origin(
        make=f"torchvision.models.{info.name}({parts.arguments})",
        make_headless=parts.headless,
        features=parts.features,
        changes=as_python(replaced),
    )
    return StagedEncoder(
        parts.net,
        parts.layout,
        origin,
        name=info.name,
        kind="image",
        num_features=parts.num_features,
        stem=stem,
        size=size,
        channels=channels,
    )


def _alexnet(name: str, small: bool) -> _Parts:
    net = torchvision.models.alexnet(weights=None)
    net.features[-1], net.avgpool, net.classifier = nn.Identity(), nn.Identity(), nn.Identity()
    # 5 x 5 at stride 1 sees on a 32-pixel image about what 11 x 11 at stride 4 sees on 224 pixels.
    replaced = {"features.0": nn.Conv2d(3, 64, 5, stride=1, padding=2)} if small else {}
    _replace(net, replaced)
    paths = ("features.1", "features.4", "features.7", "features.9", "")
    layout = Layout(
        stages=dict(zip(CONVS, paths, strict=True)),
        trunk="features",
        classifier=("classifier.",),
        least_side=7 if small else 31,
    )
    return _Parts(
        net=net,
        num_features=256,
        layout=layout,
        headless=("model.classifier = nn.Identity()",),
        features=MAP_FEATURES,
        replaced=replaced,
    )


def _vgg(name: str, small: bool) -> _Parts:
    # The classifier has 9 of 10 weights; made without memory, it costs nothing to drop (2.6 s otherwise).
    with torch.device("meta"):
        net = getattr(torchvision.models, name)(weights=None, init_weights=False)
    net.avgpool, net.classifier = nn.Identity(), nn.Identity()
    net.to_empty(device="cpu")
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    pools = [i for i, module in enumerate(net.features) if isinstance(module, nn.MaxPool2d)]
    paths = [f"features.{i - 1}" for i in pools[:-1]] + [""]
    net.features[-1] = nn.Identity()
    replaced = {f"features.{pools[0]}": nn.Identity()} if small else {}
    _replace(net, replaced)
    layout = Layout(
        stages=dict(zip(CONVS, paths, strict=True)),
        trunk="features",
        classifier=("classifier.",),
        least_side=8 if small else 16,
    )
    return _Parts(
        net=net,
        num_features=512,
        layout=layout,
        headless=("model.classifier = nn.Identity()",),
        features=MAP_FEATURES,
        replaced=replaced,
    )


def _googlenet(name: str, small: bool) -> _Parts:
    net = torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=True, transform_input=False)
    num_features = net.fc.in_features
    net.fc, net.dropout = nn.Identity(), nn.Identity()
    replaced: dict[str, nn.Module] = {}
    if small:
        conv = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        nn.init.trunc_normal_(conv.weight, mean=0.0, std=0.01, a=-2, b=2)
        replaced = {"conv1.conv": conv, "maxpool1": nn.Identity()}
    _replace(net, replaced)
    paths = ("conv1", "conv3", "inception3b", "inception4e", "inception5b")
    layout = Layout(
        stages=dict(zip(INCEPTIONS, paths, strict=True)),
        classifier=("fc.", "aux1.", "aux2."),
        least_side=4 if small else 15,
    )
    return _Parts(
        net=net,
        num_features=num_features,
        layout=layout,
        headless=("model.aux1 = model.aux2 = None", "model.fc = nn.Identity()"),
        features=HEADLESS_FEATURES,
        replaced=replaced,
        arguments="init_weights=False",
    )


def _resnet(name: str, small: bool) -> _Parts:
    net = getattr(torchvision.models, name)(weights=None)
    num_features = net.fc.in_features
    net.fc = nn.Identity()
    replaced = {"conv1": _first_conv(net.conv1), "maxpool": nn.Identity()} if small else {}
    _replace(net, replaced)
    layout = Layout(stages=dict(zip(LAYERS, ("relu", *LAYERS[1:]), strict=True)), classifier=("fc.",))
    return _Parts(
        net=net,
        num_features=num_features,
        layout=layout,
        headless=("model.fc = nn.Identity()",),
        features=HEADLESS_FEATURES,
        replaced=replaced,
    )


def _densenet(name: str, small: bool) -> _Parts:
    net = getattr(torchvision.models, name)(weights=None)
    num_features = net.classifier.in_features
    net.classifier = nn.Identity()
    # torchvision applies this ReLU in place inside `forward`, which would alter features already read.
    net.features.add_module("relu5", nn.ReLU(inplace=True))
    replaced = {"features.conv0": _first_conv(net.features.conv0), "features.pool0": nn.Identity()} if small else {}
    _replace(net, replaced)
    paths = ("features.relu0", "features.denseblock1", "features.denseblock2", "features.denseblock3", "")
    layout = Layout(
        stages=dict(zip(BLOCKS, paths, strict=True)),
        trunk="features",
        classifier=("classifier.",),
        least_side=8 if small else 29,
    )
    return _Parts(
        net=net,
        num_features=num_features,
        layout=layout,
        headless=("model.classifier = nn.Identity()",),
        features=HEADLESS_FEATURES,
        replaced=replaced,
    )


def _first_conv(published: nn.Conv2d) -> nn.Conv2d:
    """3 x 3 at stride 1 in place of 7 x 7 at stride 2, drawn as torchvision draws its convolutions."""
    conv = nn.Conv2d(3, published.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _replace(net: nn.Module, replaced: Mapping[str, nn.Module]) -> None:
    for path, module in replaced.items():
        net.set_submodule(path, module)


_FAMILIES: dict[str, Any] = {
    "alexnet": _alexnet,
    "vgg": _vgg,
    "googlenet": _googlenet,
    "resnet": _resnet,
    "densenet": _densenet,
}

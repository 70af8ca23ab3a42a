"""torchvision's 2-D networks: AlexNet, VGG, GoogLeNet, ResNet, DenseNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchvision
from torch import nn

from selftaught.encoders.names import BLOCKS, CONVS, INCEPTIONS, LAYERS, EncoderInfo
from selftaught.encoders.staged import Layout, StagedEncoder, check_side


def build_image_encoder(info: EncoderInfo, *, size: int, stem: str) -> StagedEncoder:
    """A torchvision network for (N, 3, H, W) pictures with fresh weights.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the pictures, pixels.
        stem: "standard" as published, or "small": stride 1 and no early pooling.
    """
    family = _FAMILIES[info.family]
    make: Any = getattr(torchvision.models, info.name)
    net = make(weights=None, **family.arguments)
    small = stem == "small"
    replaced = family.small_stem(net) if small else {}
    for path, module in replaced.items():
        net.set_submodule(path, module)
    num_features, layout = family.behead(net, small)
    check_side(info.name, layout, height=size, width=size)
    return StagedEncoder(
        net,
        layout,
        name=info.name,
        kind="image",
        num_features=num_features,
        stem=stem,
        size=size,
        changes=tuple(f"model.{path} = nn.{module}" for path, module in replaced.items()),
    )


class _Family:
    def __init__(self, small_stem: Callable[[Any], dict[str, nn.Module]], behead: Callable[[Any, bool], tuple[int, Layout]], **arguments: Any) -> None:
        self.small_stem = small_stem
        self.behead = behead
        self.arguments = arguments


def _small_resnet(net: torchvision.models.ResNet) -> dict[str, nn.Module]:
    conv = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return {"conv1": conv, "maxpool": nn.Identity()}


def _behead_resnet(net: torchvision.models.ResNet, small: bool) -> tuple[int, Layout]:
    num_features = net.fc.in_features
    net.fc = nn.Identity()
    return num_features, Layout(stages=dict(zip(LAYERS, ("relu", *LAYERS[1:]), strict=True)), classifier=("fc.",))


_FAMILIES = {"resnet": _Family(_small_resnet, _behead_resnet)}

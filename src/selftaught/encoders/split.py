"""Two encoders of half the width side by side, one for lightness and one for colour (Zhang et al., CVPR 2017)."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.inputs import see_grey
from selftaught.encoders.staged import Layout, StagedEncoder
from selftaught.ops.colour import denormalise
from selftaught.ops.colour_spaces import rgb_to_lab


@final
class SplitEncoder(Encoder):
    """A split-brain encoder: features of both halves one after the other, at every stage.

    It takes normalised images (N, 3, H, W) as every encoder does and cuts them itself: the first half sees lightness
    alone, the second colour (a and b of Lab) alone. A half has half the channels of the published network in every
    layer, so both together have the features of one network and half its weights.

    Attributes:
        lightness: sees three equal channels of lightness.
        colour: sees a / 50, b / 50 and 0.
    """

    kind: Literal["image"] = "image"

    def __init__(self, name: str, lightness: StagedEncoder, colour: StagedEncoder) -> None:
        super().__init__()
        self.name = name
        self.lightness = lightness
        self.colour = colour
        self.num_features = lightness.num_features + colour.num_features
        self.stages = lightness.stages

    @property
    def layout(self) -> Layout:
        """Where a half has its features, and the smallest image it takes."""
        return self.lightness.layout

    @staticmethod
    def halves(x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (N, 3, H, W) -> what each half sees, both (N, 3, H, W)."""
        ab = rgb_to_lab(denormalise(x.float()))[:, 1:] / 50
        colour = torch.cat([ab, torch.zeros_like(ab[:, :1])], 1)
        return see_grey(x), colour.contiguous(memory_format=torch.channels_last)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        grey, colour = self.halves(x)
        first, second = self.lightness.forward_stages(grey), self.colour.forward_stages(colour)
        return {name: torch.cat([first[name], second[name]], 1) for name in self.stages}

    def forward_features(self, x: Tensor) -> Tensor:
        grey, colour = self.halves(x)
        return torch.cat([self.lightness.forward_features(grey), self.colour.forward_features(colour)], 1)

    def forward(self, x: Tensor) -> Tensor:
        grey, colour = self.halves(x)
        return torch.cat([self.lightness(grey), self.colour(colour)], 1)


def halve(encoder: StagedEncoder) -> StagedEncoder:
    """The same torchvision network with half the channels in every layer but the first input, fresh weights."""
    for path, module in list(encoder.net.named_modules()):
        if isinstance(module, nn.Conv2d):
            encoder.net.set_submodule(path, _narrow(module, encoder.name))
        elif isinstance(module, nn.BatchNorm2d):
            encoder.net.set_submodule(path, nn.BatchNorm2d(_half(module.num_features, encoder.name), module.eps))
    encoder.num_features = _half(encoder.num_features, encoder.name)
    return encoder


def _narrow(published: nn.Conv2d, name: str) -> nn.Conv2d:
    """A convolution with half the channels and groups, drawn as torchvision draws those of ResNet and VGG."""
    conv = nn.Conv2d(
        published.in_channels if published.in_channels == 3 else _half(published.in_channels, name),
        _half(published.out_channels, name),
        published.kernel_size,  # type: ignore[arg-type]
        published.stride,  # type: ignore[arg-type]
        published.padding,  # type: ignore[arg-type]
        published.dilation,  # type: ignore[arg-type]
        published.groups if published.groups == 1 else _half(published.groups, name),
        published.bias is not None,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _half(channels: int, name: str) -> int:
    if channels % 2:
        raise ValueError(f"encoder {name!r} cannot be split: it has a layer of {channels} channels")
    return channels // 2

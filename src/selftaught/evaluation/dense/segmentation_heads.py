"""Networks that give every pixel a class from an encoder's stages: FCN, DeepLab, and sums of linear ones."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from selftaught.core.precision import autocast
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.evaluation.dense.stage_maps import Reading, Stage, StageMaps

RATES = (6, 12, 18)
"""Dilations of DeepLab's pyramid, for maps of 33 positions: images of 513 pixels at stride 16."""
PUBLISHED_MAP = 33
LEAST_STRIDE = 4
"""Of the finest map that DeepLab's decoder reads (Chen et al., ECCV 2018)."""
LOW_CHANNELS = 48
"""Of the finest map, after its projection (the same paper, table 1)."""


def fcn_stages(reading: Reading) -> tuple[Stage, ...]:
    """The last stage of each of the three coarsest strides: those of FCN-8s in a network of five."""
    return stages_of_strides(reading)[-3:]


def deeplab_stages(reading: Reading) -> tuple[Stage, ...]:
    """The two coarsest strides, and the finest from stride 4 on where there is a third; fine to coarse."""
    stages = stages_of_strides(reading)
    fine = [stage for stage in stages[:-2] if stage.stride >= LEAST_STRIDE]
    return (*fine[:1], *stages[-2:])


def stages_of_strides(reading: Reading) -> tuple[Stage, ...]:
    """The last stage of each stride, fine to coarse."""
    by_stride = {stage.stride: stage for stage in reading.stages}
    return tuple(by_stride[stride] for stride in sorted(by_stride))


class FcnHead(nn.Module):
    """Fully convolutional network with skips (Long, Shelhamer and Darrell, CVPR 2015, FCN-8s).

    The last map goes through a 3 x 3 convolution and gives scores; finer ones give theirs by 1 x 1 convolutions that
    begin at 0, added to those of the coarser maps, enlarged. The last map's layers are torchvision's, normalised and
    with dropout 0.1. {stage: (N, C, h, w)}, fine to coarse -> (N, K, h of the finest, w of the finest).
    """

    def __init__(self, stages: tuple[Stage, ...], num_classes: int, channels: int) -> None:
        super().__init__()
        self.names = [stage.name for stage in stages]
        self.last = nn.Sequential(
            *_block(stages[-1].channels, channels), nn.Dropout(0.1), nn.Conv2d(channels, num_classes, 1)
        )
        self.skips = nn.ModuleList([nn.Conv2d(stage.channels, num_classes, 1) for stage in stages[:-1]])
        for skip in self.skips:
            nn.init.zeros_(skip.weight)  # type: ignore[arg-type]
            nn.init.zeros_(skip.bias)  # type: ignore[arg-type]

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        scores: Tensor = self.last(maps[self.names[-1]])
        for name, skip in reversed(list(zip(self.names, self.skips, strict=False))):
            scores = _enlarge(scores, maps[name]) + skip(maps[name])
        return scores


class LinearHead(nn.Module):
    """Scores of each stage by a 1 x 1 convolution, enlarged and added, as side outputs of HED (Xie and Tu, ICCV 2015).

    The sum is divided by the root of the number of channels, so that one learning rate suits encoders of any width.
    {stage: (N, C, h, w)}, fine to coarse -> (N, K, h of the finest, w of the finest). All begin at 0.
    """

    def __init__(self, stages: tuple[Stage, ...], num_classes: int) -> None:
        super().__init__()
        self.names = [stage.name for stage in stages]
        self.scale = 1 / math.sqrt(sum(stage.channels for stage in stages))
        self.sides = nn.ModuleList([nn.Conv2d(stage.channels, num_classes, 1) for stage in stages])
        for side in self.sides:
            nn.init.zeros_(side.weight)  # type: ignore[arg-type]
            nn.init.zeros_(side.bias)  # type: ignore[arg-type]

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        finest = maps[self.names[0]]
        scores = [_enlarge(side(maps[name]), finest) for name, side in zip(self.names, self.sides, strict=True)]
        total: Tensor = self.scale * torch.stack(scores).sum(0)
        return total


class DeepLabHead(nn.Module):
    """DeepLabv3+ (Chen et al., ECCV 2018): dilated convolutions at several rates, and a decoder with a finer map.

    The paper keeps the last stage at stride 16 by dilating it. Here the encoder stays as it is: the last map, enlarged
    to the stride before it, is next to that stage's own. The rates are scaled with the map. {stage: (N, C, h, w)},
    fine to coarse -> (N, K, h of the finest, w of the finest).
    """

    def __init__(self, stages: tuple[Stage, ...], num_classes: int, channels: int, *, size: int) -> None:
        super().__init__()
        self.names = [stage.name for stage in stages]
        coarse = stages[-2:]
        side = size / coarse[0].stride
        width = sum(stage.channels for stage in coarse)
        rates = [max(1, round(rate * side / PUBLISHED_MAP)) for rate in RATES]
        self.pyramid = ASPP(width, rates, channels)
        self.low = _block(stages[0].channels, LOW_CHANNELS, kernel=1) if len(stages) > 2 else None
        decoder: list[nn.Module] = []
        if self.low is not None:
            decoder = [*_block(channels + LOW_CHANNELS, channels), *_block(channels, channels)]
        self.decode = nn.Sequential(*decoder, nn.Conv2d(channels, num_classes, 1))

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        coarse = [maps[name] for name in self.names[-2:]]
        x = torch.cat([coarse[0], *(_enlarge(value, coarse[0]) for value in coarse[1:])], 1)
        x = self.pyramid(x)
        if self.low is not None:
            low = self.low(maps[self.names[0]])
            x = torch.cat([_enlarge(x, low), low], 1)
        scores: Tensor = self.decode(x)
        return scores


class Segmenter(nn.Module):
    """Images (N, 3, H, W) normalised -> scores of the classes (N, K, H, W) float32."""

    def __init__(self, maps: StageMaps, head: FcnHead | DeepLabHead | LinearHead, precision: str) -> None:
        super().__init__()
        self.maps = maps
        self.head = head
        self.precision = precision
        trim_kernels(self)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        with autocast(x.device, self.precision):
            scores = self.head(maps)
        return F.interpolate(scores.float(), x.shape[-2:], mode="bilinear", align_corners=False)


def make_head(
    kind: Literal["fcn", "deeplab"], stages: tuple[Stage, ...], num_classes: int, channels: int, *, size: int
) -> FcnHead | DeepLabHead:
    """A head with fresh weights of the global generator."""
    if kind == "fcn":
        return FcnHead(stages, num_classes, channels)
    return DeepLabHead(stages, num_classes, channels, size=size)


def _block(before: int, after: int, *, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)

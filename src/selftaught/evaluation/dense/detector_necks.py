"""What a detector reads of an encoder: which stages, and how they become maps of one width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from selftaught.core.names import unknown_name
from selftaught.core.precision import autocast
from selftaught.encoders.base import Encoder
from selftaught.evaluation.dense.stage_maps import Reading, Stage, layers_after

PUBLISHED_SIDE = 800
"""Pixels of the short side, for which strides and the sizes of anchors are published."""
C4_STRIDE = 16


def pyramid_stages(reading: Reading, size: int) -> tuple[Stage, ...]:
    """The last stage of every stride, at most the four coarsest; none finer than 2, or than 4 is to 800 pixels."""
    by_stride = {stage.stride: stage for stage in reading.stages}
    strides = sorted(by_stride)
    usable = [s for s in strides if s >= max(2.0, 4 * size / PUBLISHED_SIDE)] or strides[-1:]
    return tuple(by_stride[s] for s in usable[-4:])


def c4_stages(encoder: Encoder, reading: Reading, asked: str | None) -> tuple[Stage, ...]:
    """The stage that is read, and the last one where the layers up to it become the head."""
    known = {stage.name: stage for stage in reading.stages}
    if asked is not None and asked not in known:
        raise ValueError(f"--probe.stage: {unknown_name('stage', asked, list(known))}")
    coarsest = max(C4_STRIDE, min(stage.stride for stage in reading.stages))
    fine = [stage.name for stage in reading.stages if stage.stride <= coarsest]
    name = asked or fine[-1]
    last = reading.stages[-1]
    return (known[name],) if layers_after(encoder, name) is None else (known[name], last)


class Pyramid(nn.Module):
    """Feature pyramid (Lin et al., CVPR 2017): {stage: (N, C, h, w)} -> {"0", "1", ..., "pool": (N, channels, h, w)}.

    An encoder with one stride, as a vision transformer, gives its last map at four: up-convolved four- and twofold, as
    it is, and pooled to half (Li et al., ECCV 2022, section 3).

    Attributes:
        strides: of the maps that boxes are read from.
        all_strides: of those that propose boxes: "pool", every second position of the last one, too.
    """

    def __init__(self, stages: Sequence[Stage], channels: int, precision: str) -> None:
        super().__init__()
        self.precision = precision
        self.strides: tuple[float, ...] = tuple(stage.stride for stage in stages)
        widths = [stage.channels for stage in stages]
        self.scales: nn.ModuleList | None = None
        if len(stages) == 1:
            width, stride = widths[0], self.strides[0]
            half, quarter = max(1, width // 2), max(1, width // 4)
            finest = nn.Sequential(_doubled(width, half), nn.GroupNorm(1, half), nn.GELU(), _doubled(half, quarter))
            self.scales = nn.ModuleList([finest, _doubled(width, half), nn.Identity(), nn.MaxPool2d(2)])
            self.strides = (stride / 4, stride / 2, stride, stride * 2)
            widths = [quarter, half, width, width]
        self.all_strides = (*self.strides, 2 * self.strides[-1])
        self.fpn = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        found = list(maps.values())
        with autocast(found[0].device, self.precision):
            if self.scales is not None:
                found = [scale(found[0]) for scale in self.scales]
            pyramid = self.fpn({str(i): value for i, value in enumerate(found)})
        return {name: value.float() for name, value in pyramid.items()}


def _doubled(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 2, stride=2)


class OneMap(nn.Module):
    """{stage: map} -> {"0": map of one stage}."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.strides = self.all_strides = (stage.stride,)

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"0": maps[self.stage.name]}

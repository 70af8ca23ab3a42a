"""An encoder's stages as maps of known stride, the input of a detector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from selftaught.core.precision import autocast
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import is_map, stage_maps
from selftaught.encoders.split import SplitEncoder
from selftaught.encoders.staged import StagedEncoder

SIDE = 64
"""Pixels of the smaller of two blank images by which strides are found; also a multiple of every stride."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of an encoder.

    Attributes:
        stride: pixels between neighbouring positions of its map.
    """

    name: str
    channels: int
    stride: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What an encoder gives and takes.

    Attributes:
        stages: those that are maps, first to last.
        multiple: sides of images must be a multiple of so many pixels.
        least: the smallest side it takes, pixels.
        side: the only side it takes, pixels; None where it takes any.
    """

    stages: tuple[Stage, ...]
    multiple: int
    least: int
    side: int | None = None

    def side_for(self, size: int, *, name: str) -> int:
        """The side of crops of about `size` pixels that the encoder of this name takes."""
        found = self.side or -(-size // self.multiple) * self.multiple
        if found < self.least:
            raise ValueError(
                f"encoder '{name}' needs images of at least {self.least} pixels, got --probe.size {found}; raise it"
            )
        return found


@torch.no_grad()
def read_stages(encoder: Encoder) -> Reading:
    """Strides and channels of an encoder of images, in evaluation mode, found by two blank images."""
    if encoder.kind != "image":
        raise ValueError(f"encoder '{encoder.name}' takes {encoder.kind}, but this probe needs one that takes images")
    if not any(is_map(encoder, stage) for stage in encoder.stages):
        raise ValueError(
            f"encoder '{encoder.name}' has no stage that is a map, which this probe needs; give an encoder such as "
            "resnet18 or timm:vit_tiny_patch16_224"
        )
    layout = encoder.layout if isinstance(encoder, StagedEncoder | SplitEncoder) else None
    patch, least = (layout.patch, layout.least_side) if layout else (1, 1)
    small = -(-max(SIDE, least) // patch) * patch
    step = SIDE if patch == 1 else 4 * patch
    try:
        near, far = (_shapes(encoder, side) for side in (small, small + step))
    except (AssertionError, RuntimeError, ValueError):
        return _of_one_side(encoder, patch)
    stages = [
        Stage(name=name, channels=channels, stride=step / (far[name][1] - side))
        for name, (channels, side) in near.items()
        if far[name][1] > side
    ]
    return Reading(stages=tuple(stages), multiple=patch, least=least)


def _of_one_side(encoder: Encoder, patch: int) -> Reading:
    """Of transformers that are built for one side alone."""
    if not isinstance(encoder, StagedEncoder):
        raise ValueError(f"encoder '{encoder.name}' takes no blank image, by which this probe finds its strides")
    side = encoder.size
    stages = [
        Stage(name=name, channels=channels, stride=side / found)
        for name, (channels, found) in _shapes(encoder, side).items()
        if found > 1
    ]
    return Reading(stages=tuple(stages), multiple=patch, least=side, side=side)


def _shapes(encoder: Encoder, side: int) -> dict[str, tuple[int, int]]:
    blank = torch.zeros(1, 3, side, side, device=next(encoder.parameters()).device)
    return {name: (value.shape[1], value.shape[2]) for name, value in stage_maps(encoder, blank).items()}


def centre_kernels(encoder: Encoder) -> None:
    """Pad odd kernels of torchvision's networks by half their width, so that position j of a map looks at pixel j s.

    Only AlexNet and GoogLeNet have others. Their maps are the same but for the border, and start up to one stride
    earlier, at the corner of the image: where a detector takes the first position to be.
    """
    parts = [encoder.lightness, encoder.colour] if isinstance(encoder, SplitEncoder) else [encoder]
    for part in parts:
        if isinstance(part, StagedEncoder) and not part.layout.timm_pool:
            for module in part.modules():
                if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
                    module.padding = tuple(map(_centred, module.kernel_size, module.padding))
                elif isinstance(module, nn.MaxPool2d) and isinstance(module.kernel_size, int):
                    centred = _centred(module.kernel_size, module.padding)
                    module.ceil_mode = module.ceil_mode and centred == module.padding
                    module.padding = centred


def _centred(kernel: int, padding: int | tuple[int, ...]) -> int:
    assert isinstance(padding, int)
    return max(padding, (kernel - 1) // 2) if kernel % 2 else padding


class Standardise(nn.Module):
    """Mean 0 and variance 1 of every channel by fixed statistics; (N, C, H, W) or (N, C)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        return (x - self.mean.view(shape)) / self.deviation.view(shape)

    def undo(self, x: Tensor) -> Tensor:
        """The channels as they were."""
        shape = (-1, *(1,) * (x.ndim - 2))
        return x * self.deviation.view(shape) + self.mean.view(shape)


class StageMaps(nn.Module):
    """Stages of an encoder as standardised maps: images (N, 3, H, W) -> {stage: (N, C, h, w) float32}.

    An encoder may give numbers of any size, which no learning rate of a detector would suit; so every channel is
    standardised by what it has on training images, as in the linear probe. Batch normalisation keeps its statistics
    and scale, as detectors do whose batches are small (He et al., ICCV 2017).

    Args:
        is_frozen: the encoder does not learn.
    """

    def __init__(self, encoder: Encoder, stages: Sequence[Stage], *, is_frozen: bool, precision: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.stages = tuple(stages)
        self.is_frozen = is_frozen
        self.precision = precision
        self.standardise = nn.ModuleList([Standardise(stage.channels) for stage in stages])
        freeze_norms(encoder)
        if is_frozen:
            encoder.requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self._read(x)
        return {stage.name: s(found[stage.name]) for stage, s in zip(self.stages, self.standardise, strict=True)}

    def train(self, mode: bool = True) -> Self:
        """The encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Take the statistics of batches of images (N, 3, H, W)."""
        totals = [torch.zeros(3, stage.channels, dtype=torch.float64) for stage in self.stages]
        for x in batches:
            found = self._read(x)
            for stage, total in zip(self.stages, totals, strict=True):
                values = found[stage.name].transpose(0, 1).flatten(1)
                sums = [power.sum(1, dtype=torch.float64).cpu() for power in (values, values.square())]
                total += torch.stack([torch.full_like(sums[0], values.shape[1]), *sums])
        for standardise, (count, first, second) in zip(self.standardise, totals, strict=True):
            assert isinstance(standardise, Standardise)
            mean = first / count
            deviation = (second / count - mean.square()).clamp(min=0).sqrt()
            standardise.mean.copy_(mean)
            # A channel that hardly varies stays near 0 instead of becoming noise.
            standardise.deviation.copy_(deviation.clamp(min=max(1e-6, 0.01 * float(deviation.mean()))))

    def _read(self, x: Tensor) -> dict[str, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen), autocast(x.device, self.precision):
            found = stage_maps(self.encoder, x)
        return {stage.name: found[stage.name].float() for stage in self.stages}


def freeze_norms(network: nn.Module) -> None:
    """Batch normalisation keeps statistics and scale."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval().requires_grad_(False)


@torch.no_grad()
def settle_norms(encoder: Encoder, batches: Iterable[Tensor]) -> None:
    """Give batch normalisation the mean statistics of batches of images, for random weights that have none.

    Without them the layers of a random ResNet double what they are given, block after block.
    """
    norms = [module for module in encoder.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for x in batches:
        encoder.forward_features(x)
    for norm in norms:
        norm.eval()


def layers_after(encoder: Encoder, stage: str) -> nn.Sequential | None:
    """The layers between a stage and the last one, by which a map goes on; None where that is not known.

    torchvision's networks hold them one after the other beside the stage's own; at the last stage there are none.
    """
    if not isinstance(encoder, StagedEncoder) or encoder.layout.timm_pool or stage == encoder.stages[-1]:
        return None
    paths = encoder.layout.stages
    parent, _, first = paths[stage].rpartition(".")
    last = paths[encoder.stages[-1]].rpartition(".")[2]
    children = dict(encoder.net.get_submodule(parent).named_children())
    names = list(children)
    chosen = names[names.index(first) + 1 : names.index(last) + 1 if last else None]
    return nn.Sequential(*(children[name] for name in chosen))

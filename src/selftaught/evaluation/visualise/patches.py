"""The parts of the data that a channel answers to most strongly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.precision import autocast
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import stage_maps
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.evaluation.visualise.receptive_field import Box, Fields
from selftaught.ops.sheet import fit

TILE = 40
"""Side of a drawn patch, pixels."""


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Of each of M images and C channels: the largest activation, where it is, and the mean over the map.

    Attributes:
        values, means: (M, C) float32.
        positions: (M, C) int64, row * width + column.
        width: columns of the map.
    """

    values: Tensor
    positions: Tensor
    means: Tensor
    width: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """A patch: which image, how strong the channel is there, and where."""

    picture: int
    activation: float
    row: int
    column: int


def peaks_of(maps: Tensor) -> Peaks:
    """The peaks of maps (N, C, h, w)."""
    maps = maps.float()
    values, positions = maps.flatten(2).max(2)
    return Peaks(values=values.cpu(), positions=positions.cpu(), means=maps.mean((2, 3)).cpu(), width=maps.shape[3])


@torch.no_grad()
def find_peaks(
    encoder: Encoder, batches: Iterable[Tensor], stages: Sequence[str], *, precision: str = "auto"
) -> dict[str, Peaks]:
    """The peaks of all images, in batches (N, 3, S, S) normalised, at some stages; one pass."""
    parts: dict[str, list[Peaks]] = {stage: [] for stage in stages}
    for views in batches:
        with autocast(views.device, precision):
            maps = stage_maps(encoder, views)
        for stage in stages:
            parts[stage].append(peaks_of(maps[stage]))
    return {
        stage: Peaks(
            values=torch.cat([p.values for p in found]),
            positions=torch.cat([p.positions for p in found]),
            means=torch.cat([p.means for p in found]),
            width=found[0].width,
        )
        for stage, found in parts.items()
    }


def choose_channels(peaks: Peaks, count: int, rng: Generator) -> list[int]:
    """Channels drawn among those that separate images, in order; one that is the same for all shows nothing."""
    varies = (peaks.values.amax(0) > peaks.values.amin(0)).nonzero()[:, 0]
    return sorted(varies[torch.randperm(len(varies), generator=rng)[:count]].tolist())


def strongest(peaks: Peaks, channel: int, count: int) -> list[Found]:
    """Where a channel is strongest, strongest first, one position of an image; an image where it is 0 is left out."""
    values, order = peaks.values[:, channel].sort(descending=True, stable=True)
    return [
        Found(picture=picture, activation=value, row=position // peaks.width, column=position % peaks.width)
        for value, picture in zip(values[:count].tolist(), order[:count].tolist(), strict=True)
        if value != 0
        for position in [int(peaks.positions[picture, channel])]
    ]


def cut(picture: Tensor, box: Box, side: int) -> Tensor:
    """The box of an image (3, S, S) as a tile (3, side, side), grey beside it where it is not square."""
    top, left, bottom, right = box
    patch = picture[:, top:bottom, left:right]
    longest = max(patch.shape[1:])
    down, across = longest - patch.shape[1], longest - patch.shape[2]
    square = F.pad(patch, (across // 2, across - across // 2, down // 2, down - down // 2), value=0.5)
    return fit(square[None], side)[0]


def draw_patches(
    gallery: Gallery, file: str, found: Sequence[Sequence[Found]], fields: Fields, *, columns: int, caption: str
) -> dict[str, Any]:
    """A sheet "patches" of the index: a row for each channel, of what was found of it."""
    rows = sorted({patch.picture for row in found for patch in row})
    seen = dict(zip(rows, gallery.pictures(rows), strict=True))
    tiles, entries = [], []
    for row in found:
        for patch in row:
            tiles.append(cut(seen[patch.picture], fields.box(patch.row, patch.column), TILE))
        tiles += [torch.ones(3, TILE, TILE)] * (columns - len(row))
        entries.append(
            [
                {
                    "key": gallery.key(patch.picture),
                    "label": gallery.label(patch.picture),
                    "activation": round(patch.activation, 4),
                    "box": list(fields.box(patch.row, patch.column)),
                }
                for patch in row
            ]
        )
    return gallery.add(file, torch.stack(tiles), columns=columns, caption=caption) | {"found": entries}

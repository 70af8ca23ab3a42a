"""From the stages of an encoder to maps of several resolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.tasks.parts.hypercolumn import check_places, stage_shapes

LEAST = 16
"""Channels of the finest resolution."""


class MultiscaleDecoder(nn.Module):
    """From coarse to fine, with a stage of the encoder at each resolution that has one (U-Net; DispNet, Mayer 2016).

    The coarsest stage is mapped to `width` channels. For every further resolution, twice as fine, the map is enlarged,
    joined with the last stage of about that resolution, and convolved; channels halve down to `LEAST`. At each of the
    `scales` finest resolutions, a convolution gives a map.

    A dictionary of `placed_stages` -> `scales` maps (N, out, S / 2^k, S / 2^k), k = 0 (the finest) first.

    Raises:
        ValueError: where the encoder ends in a sequence.
    """

    def __init__(self, encoder: Encoder, size: int, *, out: int, scales: int, width: int) -> None:
        super().__init__()
        check_places(encoder)
        shapes = stage_shapes(encoder, size)
        coarsest = min(shape[-1] for shape in shapes.values())
        self.sides = [size]
        while self.sides[-1] > max(1, coarsest) or len(self.sides) < scales:
            self.sides.append(-(-self.sides[-1] // 2))
        self.sides = self.sides[::-1]
        self.scales = scales
        # The last stage of those whose nearest resolution this is.
        self.stages = {min(self.sides, key=lambda side: abs(side - shape[-1])): name for name, shape in shapes.items()}
        last = encoder.stages[-1]
        self.stages[self.sides[0]] = last if shapes[last][-1] == coarsest else self.stages.get(self.sides[0], last)
        widths = [max(LEAST, width >> step) for step in range(len(self.sides))]
        self.reduce = nn.ModuleDict()
        self.joined = nn.ModuleList()
        for step, side in enumerate(self.sides):
            before = widths[step - 1] if step else 0
            if side in self.stages:
                self.reduce[str(side)] = nn.Conv2d(shapes[self.stages[side]][0], widths[step], 1)
                before += widths[step]
            self.joined.append(nn.Sequential(nn.Conv2d(before, widths[step], 3, padding=1), nn.ELU()))
        self.heads = nn.ModuleList(nn.Conv2d(channels, out, 3, padding=1) for channels in widths[-scales:])

    def forward(self, stages: dict[str, Tensor]) -> list[Tensor]:
        """Stages of one pass -> the maps, the finest first."""
        x: Tensor | None = None
        found: list[Tensor] = []
        for step, side in enumerate(self.sides):
            parts = [] if x is None else [F.interpolate(x, (side, side), mode="nearest")]
            if side in self.stages:
                own = self.reduce[str(side)](stages[self.stages[side]])
                parts.append(F.interpolate(own, (side, side), mode="bilinear") if own.shape[-1] != side else own)
            x = self.joined[step](torch.cat(parts, 1))
            at = step - (len(self.sides) - self.scales)
            if at >= 0:
                found.append(self.heads[at](x))
        return found[::-1]

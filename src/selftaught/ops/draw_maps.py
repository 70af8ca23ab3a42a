"""Masks, depth and flow as colours that people can read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import flow_to_image

from selftaught.ops.crop import MapKind

IGNORE = 255
"""Class of pixels without one, which are white."""


def draw_maps(maps: Sequence[Tensor], kind: MapKind) -> list[Tensor]:
    """Maps of one kind as images (3, H, W) in [0, 1], or clips (T, 3, H, W), all with the same colour scale.

    Args:
        maps: masks (H, W), class numbers or probabilities; depth (H, W), not finite where unknown; or flow
            (2, H, W), (x, y); with T before them where they are of a clip.
        kind: which of these.

    Masks have the colours of PASCAL VOC, or are grey where they are float; depth is black where it is least; flow has
    the hue of its direction, and is the paler the slower (Baker et al., IJCV 2011).
    """
    if kind == "flow":
        fastest = max(float(flow.float().norm(dim=-3).max()) for flow in maps)
        return [_flow(flow, fastest) for flow in maps]
    if kind == "depth":
        known = torch.cat([depth[depth.isfinite()].float() for depth in maps])
        least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        return [_grey((depth.float() - least) / max(most - least, 1e-12)) for depth in maps]
    return [_grey(mask) if mask.is_floating_point() else _coloured(mask) for mask in maps]


def palette(count: int) -> NDArray[np.uint8]:
    """(count, 3) RGB: colours of PASCAL VOC, in which the bits of a number are spread over red, green and blue."""
    numbers = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def _flow(flow: Tensor, fastest: float) -> Tensor:
    """Colours of flow ([T,] 2, H, W) whose saturation is full at `fastest` pixels."""
    frames = flow.detach().float().cpu().reshape(-1, *flow.shape[-3:])
    # torchvision scales by the largest vector it is given: one of that length is added, and cut off again.
    mark = torch.zeros(2, frames.shape[2], 1)
    mark[0] = fastest
    with_mark = torch.cat([frames, mark.expand(len(frames), -1, -1, -1)], dim=3)
    drawn: Tensor = flow_to_image(with_mark)[..., :-1].float() / 255
    return drawn.reshape(*flow.shape[:-3], 3, *flow.shape[-2:])


def _grey(values: Tensor) -> Tensor:
    """([T,] H, W) in [0, 1] -> ([T,] 3, H, W)."""
    shown = values.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
    return shown.unsqueeze(-3).expand(*shown.shape[:-2], 3, *shown.shape[-2:])


def _coloured(mask: Tensor) -> Tensor:
    """Class numbers ([T,] H, W) from 0 to 255 -> colours ([T,] 3, H, W)."""
    colours = torch.from_numpy(palette(IGNORE + 1))
    colours[IGNORE] = 255
    drawn = colours[mask.detach().cpu().long()].float() / 255
    return drawn.movedim(-1, -3)

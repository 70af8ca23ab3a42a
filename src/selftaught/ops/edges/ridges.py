"""Lines one pixel wide out of maps of edges, and their neighbourhoods."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 4
"""Radius, in pixels, of the triangle filter before the orientation of edges is taken."""
MARGIN = 1.01
"""Factor by which an edge must be weaker than one across it to be suppressed."""


def thin(edges: Tensor, *, radius: int = 1, border: int = 0) -> Tensor:
    """Keep edges that no other is stronger than across their direction (Dollar and Zitnick, PAMI 2015).

    Args:
        edges: (N, H, W) float, at least 0.
        radius: pixels on either side with which each is compared.
        border: pixels within which edges fall linearly to 0, as what is beyond the image is not known.

    Returns:
        (N, H, W): the strength of the edges that stay, 0 elsewhere.
    """
    across = orientation(edges)
    step_y, step_x = across.sin(), across.cos()
    h, w = edges.shape[-2:]
    y = torch.arange(h, device=edges.device, dtype=edges.dtype)[:, None]
    x = torch.arange(w, device=edges.device, dtype=edges.dtype)
    kept = torch.ones_like(edges, dtype=torch.bool)
    for d in (d for k in range(1, radius + 1) for d in (k, -k)):
        grid = torch.stack([(2 * (x + d * step_x) + 1) / w - 1, (2 * (y + d * step_y) + 1) / h - 1], -1)
        beside = F.grid_sample(edges[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)
        kept &= edges * MARGIN >= beside[:, 0]
    return edges * kept * _frame(h, w, border, edges)


def orientation(edges: Tensor) -> Tensor:
    """Direction across the edges (N, H, W), radians from x towards y: the one in which they bend most."""
    by_y, by_x = _gradient(triangle(edges, SMOOTHING))
    xx = _gradient(by_x)[1]
    yy, xy = _gradient(by_y)
    return 0.5 * torch.atan2(2 * xy, xx - yy) + math.pi / 2 * (xx + yy < 0)


def triangle(maps: Tensor, radius: int) -> Tensor:
    """Maps (N, H, W) smoothed by a triangle of this radius in pixels along both axes; edges repeat."""
    if not radius:
        return maps
    ramp = torch.arange(1, radius + 2, device=maps.device, dtype=maps.dtype)
    kernel = torch.cat([ramp, ramp[:-1].flip(0)])
    kernel = kernel / kernel.sum()
    padded = F.pad(maps[:, None], (radius,) * 4, mode="replicate")
    smooth: Tensor = F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[:, 0]
    return smooth


def near(lines: Tensor, radius: int) -> Tensor:
    """Pixels (N, H, W) bool within `radius` of one of `lines` (N, H, W) bool, by Euclid."""
    offsets = torch.arange(-radius, radius + 1, device=lines.device)
    disk = (offsets[:, None].square() + offsets.square() <= radius**2).float()[None, None]
    return F.conv2d(lines.float()[:, None], disk, padding=radius)[:, 0] > 0.5


def _gradient(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of maps (N, H, W) along y and x; one-sided at the border."""
    along_y, along_x = torch.gradient(maps, dim=(1, 2))
    return along_y, along_x


def _frame(height: int, width: int, border: int, like: Tensor) -> Tensor:
    """Factors (H, W) that rise from 0 at the border to 1 at `border` pixels from it."""
    if not border:
        return like.new_ones(())
    ramps = []
    for side in (height, width):
        at = torch.arange(side, device=like.device)
        ramps.append((torch.minimum(at, side - 1 - at) / max(1, min(border, side // 2))).clamp(max=1).to(like.dtype))
    return ramps[0][:, None] * ramps[1]

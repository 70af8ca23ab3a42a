"""Moving squares of a clip and where they go, by coarse optical flow.

On jhmdb14 (304 clips of 16 frames, 85 x 64 pixels), squares of 24 pixels were placed on the person by their motion.
Where the person then moves by more than 4 pixels, a tracked square stays within 3.0 pixels of him in the median and one
that stands still within 8.1; 90 % and 81 % of all squares are on the person at the end. Flow of OpenCV's DIS (3.4) and
correlation filters (2.8 to 4.1) track no better.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.flow import lucas_kanade

SIDE = 32
"""Short side of the frames between which flow is computed, in pixels: about that, or less."""
FIRST = 3
"""Steps at the start of a clip whose motion places a square."""


@dataclass(frozen=True, kw_only=True)
class CoarseFlow:
    """Flow (N, T - 1, 2, h, w) from each frame to the next, (x, y) in pixels of the frames; a cell is `cell` pixels."""

    flow: Tensor
    cell: int


def coarse_flow(video: Tensor) -> CoarseFlow:
    """Of clips (N, T, 3, H, W) uint8."""
    n, t, _, h, w = video.shape
    cell = max(1, min(h, w) // SIDE)
    # Green alone is most of the luma, and a third of the pixels to read.
    small = F.avg_pool2d(video[:, :, 1].flatten(0, 1)[:, None].float() / 255, cell)
    grey = small.view(n, t, 1, *small.shape[-2:])
    flow = lucas_kanade(grey[:, :-1].flatten(0, 1), grey[:, 1:].flatten(0, 1), levels=4, damping=1e-3)
    return CoarseFlow(flow=cell * flow.view(n, t - 1, 2, *small.shape[-2:]), cell=cell)


def moving_squares(motion: CoarseFlow, areas: Tensor, share: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """The square of each clip that moves most at its start, and by how much.

    Motion is against the median flow of each frame, which is mostly that of the camera.

    Args:
        motion: of the clips.
        areas: (N, 4) top, left, height and width, in which the squares are.
        share: side of a square, as a share of the area's short side.
        rng: for places that are equal to each other, as where nothing moves.

    Returns:
        Squares (N, 4) as of `ops.crop.crop_resize`, and motion (N,) in sides of the square a frame.
    """
    flow = motion.flow[:, :FIRST]
    camera = flow.flatten(3).median(3).values[..., None, None]
    speed = (flow - camera).square().sum(2).sqrt().mean(1)
    side = areas[:, 2:].amin(1) * share
    # Mean speed in the square around each place of a grid, by sums over all rows and columns up to its ends.
    steps = uniform((2, len(side), 16), 0, 1, rng).sort(2).values
    top, left = areas[:, :2].T[:, :, None] + steps * (areas[:, 2:] - side[:, None]).T[:, :, None]
    rows = _overlap(top, side[:, None], speed.shape[-2], motion.cell)
    columns = _overlap(left, side[:, None], speed.shape[-1], motion.cell)
    found = torch.einsum("nhw,nih,njw->nij", speed, rows, columns).flatten(1)
    best = (found + 1e-6 * uniform(tuple(found.shape), 0, 1, rng)).argmax(1, keepdim=True)
    squares = [top.gather(1, best // 16)[:, 0], left.gather(1, best % 16)[:, 0], side, side]
    return torch.stack(squares, 1), found.gather(1, best)[:, 0] / side


def track(motion: CoarseFlow, squares: Tensor, areas: Tensor) -> Tensor:
    """Where squares of the first frames go: squares and areas (N, 4) -> (N, T, 4).

    A square moves by the mean flow within it from frame to frame, and stays in its area.
    """
    _, _, height, width = areas.unbind(1)
    side = squares[:, 2:3]
    low = areas[:, :2]
    high = low + torch.stack([height, width], 1) - side
    place, path = squares[:, :2], [squares[:, :2]]
    for flow in motion.flow.unbind(1):
        rows = _overlap(place[:, :1], side, flow.shape[-2], motion.cell)[:, 0]
        columns = _overlap(place[:, 1:], side, flow.shape[-1], motion.cell)[:, 0]
        step = torch.einsum("nchw,nh,nw->nc", flow, rows, columns).flip(1)
        place = (place + step).maximum(low).minimum(high)
        path.append(place)
    places = torch.stack(path, 1)
    return torch.cat([places, side[:, None].expand(-1, places.shape[1], 2)], 2)


def _overlap(start: Tensor, length: Tensor, cells: int, cell: int) -> Tensor:
    """Share of [start, start + length) that is in each cell of an axis: (N, K) -> (N, K, cells), which sum to 1."""
    edge = cell * torch.arange(cells, device=start.device)
    end = (start + length)[..., None]
    inside = (end.minimum(edge + cell) - start[..., None].maximum(edge)).clamp(min=0)
    return inside / inside.sum(2, keepdim=True).clamp(min=1e-6)

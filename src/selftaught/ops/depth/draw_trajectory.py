"""The way of a camera, seen from above."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_trajectory(places: Tensor, side: int, *, reach: float) -> Tensor:
    """Places (T, 3) of a camera, (right, down, forwards) in the axes of its first one, as an image (3, side, side).

    Seen from above, with the way ahead up. The first place is in the middle; the edge is `reach` from it. The line goes
    from dark to light green.
    """
    drawn = torch.ones(3, side, side)
    steps = 4 * side
    places = places.detach().float().cpu()
    share = torch.linspace(0, 1, steps)
    along = share * (len(places) - 1)
    number = along.long().clamp(max=max(0, len(places) - 2))
    part = (along - number)[:, None]
    line = places[number] * (1 - part) + places[(number + 1).clamp(max=len(places) - 1)] * part
    x, y = ((0.5 + sign * line[:, axis] / (2 * max(reach, 1e-9))) * side for axis, sign in ((0, 1), (2, -1)))
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    colour = torch.stack([0.1 + 0.2 * share, 0.2 + 0.7 * share, 0.1 + 0.2 * share])
    drawn[:, y[inside].long(), x[inside].long()] = colour[:, inside]
    return drawn

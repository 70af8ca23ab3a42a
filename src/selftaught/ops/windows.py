"""Windows of clips in which the border of the frame cannot be seen."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.frames import without_bars


def inner_areas(video: Tensor, size: int) -> Tensor:
    """Areas (N, 4), top, left, height and width, of clips (N, T, 3, H, W) uint8 without their border.

    They are between the bars, and off the edge by a pixel and half a pixel of a window of `size` pixels, so that
    neither the outermost pixels nor a filter that is cut off there reach a window within them.
    """
    areas = without_bars(video)
    margin = areas[:, 2:].amin(1, keepdim=True) / (2 * size) + 1
    return torch.cat([areas[:, :2] + margin, areas[:, 2:] - 2 * margin], 1)


def shifted_squares(squares: Tensor, count: int, rng: Generator, *, jitter: float) -> Tensor:
    """Smaller squares anywhere within a larger one: squares (N, 4) -> (N, count, 4), mirrored as it is.

    Each is shifted from the middle by up to `jitter` of its own side, and not by whole pixels, so that neither its
    position nor the block grid of a codec identifies a frame.
    """
    top, left, side, across = squares[:, :, None].unbind(1)
    own = side / (1 + 2 * jitter)
    down, right = uniform((2, len(squares), count), 0, 1, rng) * (side - own)
    sign, own = across.sign(), own.expand(-1, count)
    return torch.stack([top + down, left + sign * right, own, sign * own], 2)

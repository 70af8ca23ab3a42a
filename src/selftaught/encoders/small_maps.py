"""Convolutions on maps of a few pixels, as matrix products that leave out the padding.

Deep stages see maps of 2 x 2 to 4 x 4 pixels where images are small. There half of what a 3 x 3 kernel multiplies is
padding, and oneDNN's convolutions get two to four pixels at a time: at 2 x 2 they run at a quarter of the speed that
the same processor reaches in matrix products. Here each position of the result is one product, over the part of the
kernel that meets the map and all images of the batch, and each tap of the kernel's gradient is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

LEAST_BATCH = 64
"""Rows of a product below which copying the kernel costs more than it saves."""
LEAST_CHANNELS = 128
"""In and out, below which products are too small to be faster."""
MOST_POSITIONS, MOST_USED = 16, 0.85
"""Of the result, and of the multiplications of a convolution that meet the map and not its padding."""

Pair = tuple[int, int]
Meetings = Sequence[Sequence[Pair]]
"""Of each target along one axis, which sources it takes through which taps of the kernel: (source, tap)."""


class Grid(NamedTuple):
    """Where the kernel meets the map: for each row and each column of the result, (pixel of the map, tap)."""

    rows: Meetings
    columns: Meetings

    def turned(self, height: int, width: int) -> Grid:
        """For each row and column of the map (height, width), (pixel of the result, tap)."""
        return Grid(_turned(self.rows, height), _turned(self.columns, width))


def is_faster(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> bool:
    """Whether `convolve` beats a convolution on this device, for x (N, C, H, W) and weight (K, C, kh, kw).

    Measured with a batch of 256, forward and backward (docs/decisions/0006): 1.2 to 4 times as fast in bfloat16 and 1.1
    to 2.2 times in float32 where it says yes; at 6 x 6 pixels, or with 64 channels, it would be slower.
    """
    if x.device.type != "cpu" or len(x) < LEAST_BATCH or min(weight.shape[:2]) < LEAST_CHANNELS:
        return False
    grid = _grid_of(x, weight, stride, padding)
    positions = len(grid.rows) * len(grid.columns)
    used = sum(map(len, grid.rows)) * sum(map(len, grid.columns))
    return positions <= MOST_POSITIONS and used <= MOST_USED * positions * weight.shape[2:].numel()


def _grid_of(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Grid:
    return _meetings(x.shape[2:], weight.shape[2:], stride, padding)


@cache
def _meetings(map_: Sequence[int], kernel: Sequence[int], stride: Pair, padding: Pair) -> Grid:
    """Where each position of the result meets the map: the same for every batch, so it is found once for a layer."""
    found = []
    for side, taps, step, border in zip(map_, kernel, stride, padding, strict=True):
        targets = range((side + 2 * border - taps) // step + 1)
        found.append(
            [[(o * step - border + k, k) for k in range(taps) if 0 <= o * step - border + k < side] for o in targets]
        )
    return Grid(*found)


def convolve(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """`torch.nn.functional.conv2d(x, weight, None, stride, padding)`, with the result channels last.

    Args:
        x: (N, C, H, W).
        weight: (K, C, kh, kw), of the same type.
        stride: of the kernel, down and right.
        padding: zeros around the map, above and below, left and right.
    """
    result: Tensor = _Convolution.apply(x, weight, stride, padding)
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        kernel = _pixels(weight)  # (K, taps, C)
        return _by_position(
            x, _grid_of(x, weight, stride, padding), weight, lambda taps: kernel.index_select(1, taps).flatten(1).T
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        needs_x, needs_weight, *_ = ctx.needs_input_grad
        where: tuple[Pair, Pair] = ctx.stride, ctx.padding
        dx = dw = None
        if torch.is_grad_enabled():  # a gradient of the gradient will be asked for
            dx = conv2d_input(x.shape, weight, gradient, *where) if needs_x else None
            dw = conv2d_weight(x, weight.shape, gradient, *where) if needs_weight else None
            return dx, dw, None, None
        grid = _grid_of(x, weight, *where)
        if needs_x:
            kernel = weight.permute(2, 3, 0, 1).flatten(0, 1)  # (taps, K, C)
            dx = _by_position(
                gradient, grid.turned(*x.shape[2:]), weight, lambda taps: kernel.index_select(0, taps).flatten(0, 1)
            )
        if needs_weight:
            dw = _by_tap(x, gradient, grid, weight)
        return dx, dw, None, None


def _by_position(source: Tensor, grid: Grid, weight: Tensor, matrix: Callable[[Tensor], Tensor]) -> Tensor:
    """One product for all targets that take the same taps: source (N, A, h, w) -> (N, B, rows, columns).

    `matrix` gives the kernel of some taps as (taps * A, B).
    """
    n, width, kernel_width = len(source), source.shape[3], weight.shape[3]
    pixels = _pixels(source)
    made: Tensor | None = None
    for rows in _alike(grid.rows):
        for columns in _alike(grid.columns):
            taps = [a * kernel_width + b for _, a in grid.rows[rows[0]] for _, b in grid.columns[columns[0]]]
            sources = [
                i * width + j for r in rows for c in columns for i, _ in grid.rows[r] for j, _ in grid.columns[c]
            ]
            product = _taken(pixels, sources).view(n * len(rows) * len(columns), -1) @ matrix(torch.tensor(taps))
            if made is None:
                made = product.new_zeros(n, len(grid.rows), len(grid.columns), product.shape[1])
            made[:, _span(rows), _span(columns)] = product.view(n, len(rows), len(columns), -1)
    assert made is not None
    return made.permute(0, 3, 1, 2)


def _by_tap(x: Tensor, gradient: Tensor, grid: Grid, weight: Tensor) -> Tensor:
    """The kernel's gradient (K, C, kh, kw), one product for each tap over all positions where it meets the map."""
    height, width = weight.shape[2:]
    pixels, pulls = _pixels(x), _pixels(gradient)
    made = weight.new_zeros(weight.shape[0], height * width, weight.shape[1])
    for a in range(height):
        for b in range(width):
            down = [(o, i) for o, row in enumerate(grid.rows) for i, tap in row if tap == a]
            right = [(o, j) for o, column in enumerate(grid.columns) for j, tap in column if tap == b]
            if not down or not right:
                continue
            targets = [o * len(grid.columns) + p for o, _ in down for p, _ in right]
            sources = [i * x.shape[3] + j for _, i in down for _, j in right]
            made[:, a * width + b] = _taken(pulls, targets).flatten(0, 1).T @ _taken(pixels, sources).flatten(0, 1)
    return made.view(-1, height, width, weight.shape[1]).permute(0, 3, 1, 2)


def _pixels(map_: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H * W, C), without a copy where the channels are last."""
    return map_.permute(0, 2, 3, 1).contiguous().flatten(1, 2)


def _taken(pixels: Tensor, positions: list[int]) -> Tensor:
    """Some positions of (N, H * W, C), in order; `index_select` copies ten times as fast as indexing by a list."""
    if positions == list(range(pixels.shape[1])):
        return pixels
    return pixels.index_select(1, torch.tensor(positions))


def _turned(meetings: Meetings, side: int) -> Meetings:
    return [[(o, tap) for o, met in enumerate(meetings) for i, tap in met if i == source] for source in range(side)]


def _alike(meetings: Meetings) -> list[list[int]]:
    """Targets that take the same taps, together; those that take none are left out."""
    found: dict[tuple[int, ...], list[int]] = {}
    for target, met in enumerate(meetings):
        if met:
            found.setdefault(tuple(tap for _, tap in met), []).append(target)
    return list(found.values())


def _span(targets: list[int]) -> slice:
    """Targets that take the same taps are at equal distances."""
    return slice(targets[0], targets[-1] + 1, targets[1] - targets[0] if len(targets) > 1 else 1)

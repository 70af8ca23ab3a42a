"""What part of its input a position of a feature map can see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.encoders.base import Encoder
from selftaught.evaluation.visualise.read_stage import read_map

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels of the input; bottom and right are the first beyond."""
TRIALS = 4
"""Images of noise a field is read from: a path that is dead in one, behind a ReLU, is alive in another."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The receptive fields of a square map, row and column apart: {index: (first pixel, first pixel beyond)}."""

    rows: dict[int, tuple[int, int]]
    columns: dict[int, tuple[int, int]]

    def box(self, row: int, column: int) -> Box:
        """What the position at that row and column sees, inside the image."""
        (top, bottom), (left, right) = self.rows[row], self.columns[column]
        return top, left, bottom, right


def receptive_fields(encoder: Encoder, stage: str, indices: Iterable[int], *, size: int) -> Fields:
    """Receptive fields at some rows and columns of a stage, read from gradients.

    The gradient of a position with respect to its input is nonzero just where the input can change it, so no table of
    strides and kernels is needed and any network is read alike; attention over all tokens, or a mean over the map, sees
    the whole image. Position (i, i) gives the field of row i and of column i. The position's channels are added up
    with random weights, since a plain sum of normalised channels is constant.

    Args:
        indices: rows (and columns) of the map.
        size: side of the input, pixels.
    """
    device = next(encoder.parameters()).device
    rng = generator("receptive field", stage)
    noise = torch.randn(TRIALS, encoder.channels, size, size, generator=rng).to(device).requires_grad_()
    rows: dict[int, tuple[int, int]] = {}
    columns: dict[int, tuple[int, int]] = {}
    # cuDNN may convolve by Fourier transforms, whose rounding leaks beyond the kernel.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        features = read_map(encoder, stage, noise)
        weights = torch.randn(features.shape[1], generator=rng).to(device)
        for index in sorted(set(indices)):
            reading = (features[:, :, index, index].float() * weights).sum()
            (gradient,) = torch.autograd.grad(reading, noise, retain_graph=True)
            seen = (gradient != 0).any(0).any(0)
            rows[index], columns[index] = _extent(seen.any(1)), _extent(seen.any(0))
    return Fields(rows=rows, columns=columns)


def _extent(seen: Tensor) -> tuple[int, int]:
    """First and first beyond of what is True; everything where nothing is, a position dead in every trial."""
    found = seen.nonzero()[:, 0]
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, len(seen))

"""A fully connected conditional random field over the pixels of a frame (Krähenbühl and Koltun, NeurIPS 2011)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_NEAR, _NEAR_WEIGHT = 3.0, 3.0
_WIDE, _COLOUR, _WIDE_WEIGHT = 80.0, 13.0, 10.0
"""Widths and weights of both kernels: pixels of a frame whose longer side is 650, and values of RGB in [0, 255]."""
_LONGER = 650
_ROUNDS = 5
_BLUR = 0.82
"""Width in cells of what a grid does: cells of one value, then (1, 2, 1) / 4."""

Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def refined(frame: NDArray[np.uint8], unary: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of the foreground (H, W) by mean field inference.

    Args:
        frame: (H, W, 3) RGB.
        unary: (H, W) probability of the foreground of each pixel alone, inside (0, 1).
    """
    scale = max(frame.shape[:2]) / _LONGER
    alone = np.log(unary / (1 - unary)).astype(np.float64)
    near = _normalised(_gaussian(_NEAR * scale), unary.shape)
    wide = _normalised(bilateral(frame, _WIDE * scale, _COLOUR), unary.shape)
    found = 1 / (1 + np.exp(-alone))
    for _ in range(_ROUNDS):
        # Of two classes: what agrees less what disagrees, each weighted by the kernels.
        signed = 2 * found - 1
        found = 1 / (1 + np.exp(-(alone + _NEAR_WEIGHT * near(signed) + _WIDE_WEIGHT * wide(signed))))
    return np.asarray(found, np.float32)


def bilateral(frame: NDArray[np.uint8], width: float, colour: float) -> Filter:
    """Sums over all pixels of a frame weighted by a Gaussian of place and RGB, on a sparse grid of five dimensions.

    The grid's cells hold one value each (Barron and Poole, ECCV 2016), so the kernel is the Gaussian only about.

    Args:
        frame: (H, W, 3) RGB.
        width: of the Gaussian in pixels.
        colour: of the Gaussian in values of RGB.
    """
    height, length = frame.shape[:2]
    place = np.indices((height, length)).reshape(2, -1).T / (width / _BLUR)
    cells = np.hstack([place, frame.reshape(-1, 3) / (colour / _BLUR)]).astype(np.int64) + 1
    sizes = cells.max(0) + 2
    steps = np.concatenate([np.cumprod(sizes[:0:-1])[::-1], [1]])
    known, number = np.unique(cells @ steps, return_inverse=True)
    beside = [_beside(known, step) for step in steps.tolist()]

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        grid = np.bincount(number.reshape(-1), values.reshape(-1), minlength=len(known))
        for neighbours in beside:
            grid = (2 * grid + neighbours @ grid) / 4
        return np.asarray(grid[number.reshape(-1)].reshape(values.shape))

    return sums


def _beside(known: NDArray[np.int64], step: int) -> csr_array:
    """(V, V): adds what is in the cells before and after along one dimension, where there are such."""
    at = np.searchsorted(known, known + step).clip(max=len(known) - 1)
    here = np.flatnonzero(known[at] == known + step)
    rows, columns = np.concatenate([here, at[here]]), np.concatenate([at[here], here])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(known), len(known)))


def _gaussian(width: float) -> Filter:
    return lambda values: np.asarray(cv2.GaussianBlur(values, (0, 0), width, borderType=cv2.BORDER_CONSTANT))


def _normalised(kernel: Filter, shape: tuple[int, ...]) -> Filter:
    """The kernel divided by the roots of what it sums to at both of its pixels."""
    root = np.sqrt(np.maximum(kernel(np.ones(shape)), 1e-12))
    return lambda values: kernel(values / root) / root

"""What uNLC compares regions by: gradients, colours and place of a patch around each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.regions.superpixels import lab_of

PATCH = 15
"""Pixels of a patch along each side."""
_CELL, _TURNS, _BINS = 5, 6, 20
_CLIP = 0.2
"""Largest value of a normalised histogram of gradients (Dalal and Triggs 2005)."""


def descriptors(frame: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Of each region (K, 176): 3 x 3 x 6 gradients, 20 bins of R, G, B, L, a, b each, and y, x as shares of the frame.

    Args:
        frame: (H, W, 3) RGB.
        labels: (H', W') of the regions; of lower resolution where H' is less than H.
    """
    height, width = frame.shape[:2]
    if min(height, width) < PATCH:  # too small for patches: a larger frame has the same regions
        scale = PATCH / min(height, width)
        frame = np.asarray(cv2.resize(frame, (max(PATCH, round(width * scale)), max(PATCH, round(height * scale)))))
        height, width = frame.shape[:2]
    middle = _middles(labels) * (np.array([height, width]) / labels.shape)
    corner = np.clip((middle - PATCH / 2).astype(np.int64), 0, np.array([height, width]) - PATCH)
    inside = np.arange(PATCH)
    place = (corner[:, :1, None] + inside[:, None]), (corner[:, 1:, None] + inside)
    return np.hstack([_gradients(frame, place), _colours(frame, place), corner / np.array([height, width])]).astype(
        np.float32
    )


def _middles(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """(K, 2) middle of the box around each region."""
    count = int(labels.max()) + 1
    flat = labels.reshape(-1)
    found = []
    for along in np.indices(labels.shape):
        least, most = np.full(count, labels.size), np.zeros(count, np.int64)
        np.minimum.at(least, flat, along.reshape(-1))
        np.maximum.at(most, flat, along.reshape(-1))
        found.append((least + most + 1) / 2)
    return np.stack(found, 1)


def _gradients(frame: NDArray[np.uint8], place: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float64]:
    """(K, 54) histograms of unsigned directions in 3 x 3 cells, normalised, clipped and normalised again."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
    down, right = np.gradient(grey)
    length = np.hypot(down, right)[place]
    turn = np.arctan2(down, right) % np.pi
    bins = np.minimum((turn * (_TURNS / np.pi)).astype(np.int64), _TURNS - 1)[place]
    cells = PATCH // _CELL
    inside = np.arange(PATCH) // _CELL
    numbers = (inside[:, None] * cells + inside) * _TURNS + bins
    found = _counts(numbers.reshape(len(numbers), -1), cells * cells * _TURNS, length.reshape(len(length), -1))
    found /= np.sqrt(np.square(found).sum(1, keepdims=True) + 1e-10)
    found = np.minimum(found, _CLIP)
    return np.asarray(found / np.sqrt(np.square(found).sum(1, keepdims=True) + 1e-10))


def _colours(frame: NDArray[np.uint8], place: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float64]:
    """(K, 120) share of a patch's pixels in each bin."""
    lab = lab_of(frame)
    ranges = ((0, 255), (0, 255), (0, 255), (0, 100), (-128, 127), (-128, 127))
    values = np.dstack([frame.astype(np.float32), lab])[place]
    found = []
    for channel, (least, most) in enumerate(ranges):
        bins = ((values[..., channel] - least) * (_BINS / (most - least))).astype(np.int64)
        numbers = np.clip(bins, 0, _BINS - 1).reshape(len(values), -1)
        found.append(_counts(numbers, _BINS) / PATCH**2)
    return np.hstack(found)


def _counts(numbers: NDArray[np.int64], count: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """How often, or with which weight, each number below `count` is in each row (K, P): (K, count)."""
    own = numbers + np.arange(len(numbers))[:, None] * count
    flat = None if weights is None else weights.reshape(-1)
    return np.bincount(own.reshape(-1), flat, len(numbers) * count).reshape(-1, count).astype(np.float64)

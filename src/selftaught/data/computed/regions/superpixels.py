"""Superpixels by simple linear iterative clustering (SLIC: Achanta et al., PAMI 2012)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_ROUNDS = 5


def lab_of(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) RGB -> CIE L in [0, 100], a and b."""
    return np.asarray(cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def superpixels(
    frame: NDArray[np.uint8], count: int, *, sigma: float = 0.0, compactness: float = 10.0
) -> NDArray[np.int32]:
    """Regions of similar colour: a frame (H, W, 3) RGB -> numbers (H, W) from 0 on, each of them taken.

    Pixels belong to the nearest of the nine clusters around them, by colour in CIE Lab and, `compactness` times, by
    place in sides of a superpixel. Regions that are not connected stay one.

    Args:
        frame: (H, W, 3) RGB.
        count: about how many.
        sigma: pixels by which the frame is blurred first.
        compactness: weight of the place.
    """
    height, width = frame.shape[:2]
    lab = lab_of(frame)
    if sigma > 0:
        lab = np.asarray(cv2.GaussianBlur(lab, (0, 0), sigma))
    side = max(1.0, (height * width / count) ** 0.5)
    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    points = np.dstack([lab, y * np.float32(compactness / side), x * np.float32(compactness / side)]).reshape(-1, 5)
    cell = _cells(height, rows)[:, None], _cells(width, columns)[None]
    candidates = np.stack(
        [
            np.clip(cell[0] + down, 0, rows - 1) * columns + np.clip(cell[1] + right, 0, columns - 1)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
    ).reshape(9, -1)
    labels = candidates[4]
    for _ in range(_ROUNDS):
        centres = region_means(points, labels, rows * columns)
        # Of a cluster without pixels the mean is 0, which could draw pixels to it from anywhere.
        centres[np.bincount(labels, minlength=rows * columns) == 0] = np.inf
        misses = np.stack([np.square(points - centres[one]).sum(1) for one in candidates])
        labels = np.take_along_axis(candidates, misses.argmin(0)[None], 0)[0]
    return np.unique(labels, return_inverse=True)[1].reshape(height, width).astype(np.int32)


def region_means(values: NDArray[np.float32], labels: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Means (count, D) of values (P, D) over those with each label, P of any shape; 0 where there are none."""
    labels = labels.reshape(-1)
    sums = np.stack([np.bincount(labels, one, minlength=count) for one in values.T], 1)
    return (sums / np.maximum(np.bincount(labels, minlength=count), 1)[:, None]).astype(np.float32)


def _cells(length: int, count: int) -> NDArray[np.int64]:
    """Which of `count` equal cells each of `length` pixels is in."""
    return (np.arange(length) * count) // length

"""Frames that move by known pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MARGIN = 40


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """(height, width, 3) in [0, 255], blobs of about 4 pixels."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0))
    return np.asarray(255 * (soft - soft.min()) / (soft.max() - soft.min()), np.float32)


def shifting(count: int, right: float, down: float, *, height: int = 96, width: int = 120) -> NDArray[np.uint8]:
    """Frames (count, height, width, 3) of a texture that moves by as many pixels from each to the next."""
    ground = texture(height + 2 * _MARGIN, width + 2 * _MARGIN)
    frames = []
    for t in range(count):
        matrix = np.array([[1, 0, t * right - _MARGIN], [0, 1, t * down - _MARGIN]], np.float32)
        frames.append(cv2.warpAffine(ground, matrix, (width, height), flags=cv2.INTER_CUBIC))
    return np.clip(np.rint(np.stack(frames)), 0, 255).astype(np.uint8)


def with_square(
    frames: NDArray[np.uint8], right: int, down: int, *, side: int = 40, top: int = 25, left: int = 40
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A textured square that moves on its own over the frames (T, H, W, 3), and where it is (T, H, W)."""
    drawn, masks = frames.copy(), np.zeros(frames.shape[:3], bool)
    square = texture(side, side, seed=1).astype(np.uint8)
    for t in range(len(frames)):
        place = (t, slice(top + t * down, top + t * down + side), slice(left + t * right, left + t * right + side))
        drawn[place], masks[place] = square, True
    return drawn, masks

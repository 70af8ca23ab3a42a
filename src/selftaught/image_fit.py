"""The geometry of packed pictures: the short side to `side`, the aspect kept, the long side cut, a square taken out.

Both the packed store and decoding on the fly go through here, which is why they give the same bytes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.decode import decode_image
from selftaught.sources.base import Payload

MAX_ASPECT = 3
"""Longer pictures are cut in the middle to this ratio, so that a panorama costs no more than three pictures."""


def fit(payload: Payload, *, side: int) -> NDArray[np.uint8]:
    """Decode where needed and scale to a short side of exactly `side`; (H, W, 3) uint8, never squashed."""
    pixels = decode_image(payload, min_side=side) if isinstance(payload, bytes) else payload
    if isinstance(pixels, str):
        raise TypeError(f"{pixels} is a path, not a picture")
    height, width = pixels.shape[:2]
    pixels = _cut(pixels, height=min(height, MAX_ASPECT * width), width=min(width, MAX_ASPECT * height))
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short == side:
        return np.ascontiguousarray(pixels)
    new_height = side if height == short else round(height * side / short)
    new_width = side if width == short else round(width * side / short)
    # Up to half size two taps still weigh every source pixel, nearly as area averaging does, at a fifth of its time;
    # beyond that they would skip pixels and alias. Enlarging by area would be nearest neighbour.
    how = cv2.INTER_AREA if short > 2 * side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (new_width, new_height), interpolation=how), dtype=np.uint8)


def window(pixels: NDArray[np.uint8], *, side: int, y: float, x: float) -> NDArray[np.uint8]:
    """The square of `side` at the relative position (y, x), each in [0, 1); every place is equally likely. A view."""
    top, left = int(y * (pixels.shape[0] - side + 1)), int(x * (pixels.shape[1] - side + 1))
    return pixels[top : top + side, left : left + side]


def _cut(pixels: NDArray[np.uint8], *, height: int, width: int) -> NDArray[np.uint8]:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]

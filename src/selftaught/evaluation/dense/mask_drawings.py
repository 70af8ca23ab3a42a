"""Pictures with their true and predicted masks, for people to look at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from selftaught.data.annotations.dense_sample import IGNORE

SIDE = 220
"""Pixels of the long side of one picture."""
GAP = 4
UNTOLD = (255, 255, 255)


def palette(count: int) -> NDArray[np.uint8]:
    """(count, 3) RGB: colours of PASCAL VOC, in which the bits of a number are spread over red, green and blue."""
    numbers = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def draw_masks(image: Tensor, truth: NDArray[np.int64], predicted: NDArray[np.int64], count: int) -> bytes:
    """A PNG of three pictures side by side: the picture (3, H, W) uint8, its true mask (H, W), the predicted one.

    Pixels that are not told are white in the true mask.
    """
    table = np.concatenate([palette(count), np.full((IGNORE + 1 - count, 3), UNTOLD, np.uint8)])
    parts = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()), table[truth], table[predicted]]
    scale = min(1.0, SIDE / max(truth.shape))
    size = (max(1, round(scale * truth.shape[1])), max(1, round(scale * truth.shape[0])))
    sheet = Image.new("RGB", (3 * size[0] + 2 * GAP, size[1]), UNTOLD)
    for i, part in enumerate(parts):
        how = Image.Resampling.NEAREST if i else Image.Resampling.BOX
        sheet.paste(Image.fromarray(part).resize(size, how), (i * (size[0] + GAP), 0))
    written = io.BytesIO()
    sheet.save(written, "PNG", optimize=True)
    return written.getvalue()

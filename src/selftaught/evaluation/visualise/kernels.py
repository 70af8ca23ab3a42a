"""The first layer's kernels as images."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from selftaught.encoders.kernels import first_kernels, kernel_columns
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.ops.sheet import fit

LEAST_TILE = 24
"""Pixels a kernel is enlarged to, by a whole factor."""


def draw_kernels(gallery: Gallery) -> dict[str, Any] | None:
    """The part "kernels" of the index."""
    kernels = first_kernels(gallery.encoder)
    if kernels is None:
        return None
    height, width = kernels.shape[-2:]
    side = max(height, width)
    square = F.pad(kernels, (0, side - width, 0, side - height), value=1.0)
    caption = f"{len(kernels)} kernels of the first convolution, {height} x {width} pixels, each in its own range."
    tiles = fit(square, side * -(-LEAST_TILE // side))
    return gallery.add("kernels.png", tiles, columns=kernel_columns(len(tiles)), caption=caption)

"""The first layer's kernels as pictures."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.ops.sheet import fit

MOST = 256
"""Kernels shown."""
LEAST_TILE = 24
"""Pixels a kernel is enlarged to, by a whole factor."""


def first_kernels(encoder: nn.Module) -> Tensor | None:
    """The kernels of the first convolution (K, 3, h, w), each stretched to [0, 1] (Krizhevsky et al. 2012, figure 3).

    Of a 3-D kernel the middle frame; of one that takes no colours the first channel, grey. None where the encoder has
    no convolution; a transformer's is its patch embedding.
    """
    first = next((m for m in encoder.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return None
    kernels = first.weight.detach().float().cpu()[:MOST]
    if kernels.ndim == 5:
        kernels = kernels[:, :, kernels.shape[2] // 2]
    if kernels.shape[1] != 3:
        kernels = kernels[:, :1].expand(-1, 3, -1, -1)
    flat = kernels.flatten(1)
    low, high = flat.min(1).values[:, None, None, None], flat.max(1).values[:, None, None, None]
    return (kernels - low) / (high - low).clamp(min=1e-8)


def kernel_columns(count: int) -> int:
    """Columns of a sheet about twice as wide as high."""
    return math.ceil(math.sqrt(2 * count))


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

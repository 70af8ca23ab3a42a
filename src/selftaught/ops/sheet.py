"""Many small images as one file of equal tiles."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

QUALITY = 75
"""Of JPEG."""


def fit(pictures: Tensor, side: int) -> Tensor:
    """Images (N, 3, h, w) in [0, 1] as tiles (N, 3, side, side): reduced smoothly, enlarged without smoothing."""
    if min(pictures.shape[-2:]) < side:
        return F.interpolate(pictures, (side, side), mode="nearest-exact")
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True).clamp(0, 1)


def lay_out(tiles: Tensor, columns: int, gap: int = 0) -> Tensor:
    """Tiles (N, 3, S, S) row by row as one image (3, R, C), white between them and after the last."""
    rows = -(-len(tiles) // columns)
    padded = F.pad(tiles, (0, gap, 0, gap), value=1.0)
    blank = padded.new_ones(rows * columns - len(tiles), *padded.shape[1:])
    grid = torch.cat([padded, blank]).unflatten(0, (rows, columns))
    whole: Tensor = grid.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
    return whole[:, : whole.shape[1] - gap, : whole.shape[2] - gap]


def encode_picture(picture: Tensor, kind: str) -> bytes:
    """An image (3, H, W) in [0, 1] as the bytes of a "png" or "jpg" file."""
    pixels = (picture.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    target = io.BytesIO()
    options: dict[str, Any] = {"optimize": True} if kind == "png" else {"quality": QUALITY}
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, "PNG" if kind == "png" else "JPEG", **options)
    return target.getvalue()

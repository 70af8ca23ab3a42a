"""Exact rotations by multiples of 90 degrees: flips and transposes only, so no resampling trace tells the angle."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_quarter(images: Tensor, turns: int) -> Tensor:
    """Rotate (..., H, W) by `turns` x 90 degrees counter-clockwise."""
    return torch.rot90(images, turns % 4, (-2, -1))


def all_rotations(images: Tensor, turns: list[int]) -> Tensor:
    """Every rotation of every image: (N, C, S, S) -> (len(turns) * N, C, S, S), rotation-major."""
    return torch.cat([rotate_quarter(images, k) for k in turns])

"""Images at half their side, by one of several filters for each: area, bilinear, bicubic, Lanczos."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from selftaught.ops.crop import resample

FILTERS = ("area", "bilinear", "bicubic", "lanczos")
"""All antialiased, as Pillow's BOX, BILINEAR, BICUBIC (a = -0.5) and LANCZOS (3 lobes) are."""


def halve_pictures(images: Tensor, kind: Tensor) -> Tensor:
    """Images (N, C, 2 S, 2 S) float -> (N, C, S, S) float32, image n by filter number kind[n], (N,) int64."""
    weights = halving_weights(images.shape[-1] // 2, images.device)[kind]
    return resample(images, weights, weights)


@lru_cache(maxsize=8)
def halving_weights(side: int, device: torch.device) -> Tensor:
    """Matrices (4, side, 2 side), one a filter, whose rows sum to 1; parts beyond the border are cut off."""
    centre = 2 * torch.arange(side, device=device)[:, None] + 1.0
    pixel = torch.arange(2 * side, device=device)[None, :] + 0.5
    x = ((pixel - centre) / 2).abs()
    zero = torch.zeros_like(x)
    bicubic = torch.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
    weights = torch.stack(
        [
            torch.where(x < 0.5, 1.0, zero),
            (1 - x).clamp(min=0),
            torch.where(x < 2, bicubic, zero),
            torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), zero),
        ]
    )
    return weights / weights.sum(2, keepdim=True)

"""What tone and contrast alone tell of the place a tile comes from."""

from __future__ import annotations

import torch
from torch import Tensor


def centroid_accuracy(features: Tensor, cells: Tensor) -> float:
    """A classifier of nine cells by the nearest mean of `features` (M, D), learned on one half, tested on the other."""
    features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    half = len(features) // 2
    means = torch.stack([features[:half][cells[:half] == cell].mean(0) for cell in range(9)])
    return float((torch.cdist(features[half:], means).argmin(1) == cells[half:]).float().mean())


def statistics(tiles: Tensor) -> Tensor:
    """Mean, deviation and strength of gradients of the middle of each tile (M, 3, S, S) in each channel: (M, 12)."""
    inner = tiles[:, :, 1:-1, 1:-1]
    gradients = [inner.diff(dim=d).abs().mean((2, 3)) for d in (2, 3)]
    return torch.cat([inner.mean((2, 3)), inner.std((2, 3)), *gradients], 1)

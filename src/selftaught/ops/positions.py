"""Where patches are, and sines and cosines of it."""

from __future__ import annotations

import torch
from torch import Tensor


def grid_positions(rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """Row and column of each cell of a grid, row by row, (rows x columns, 2) int64."""
    every = torch.arange(rows * columns, device=device)
    return torch.stack([every // columns, every % columns], 1)


def sine_cosine(positions: Tensor, features: int) -> Tensor:
    """Fixed two-dimensional embeddings of positions (L, 2) -> (L, features) float32 in [-1, 1].

    The first half is of the column, the second of the row, as in the code of MAE (He et al., CVPR 2022): sines of
    position / 10000^(4 i / features) for i = 0 ... features / 4 - 1, then their cosines.

    Raises:
        ValueError: where `features` is not a multiple of 4.
    """
    if features % 4:
        raise ValueError(f"embeddings of rows and columns need a multiple of 4 features, got {features}")
    quarter = features // 4
    rate = 10000.0 ** -(torch.arange(quarter, device=positions.device, dtype=torch.float64) / quarter)
    angles = positions.to(torch.float64).flip(1)[:, :, None] * rate
    return torch.cat([angles.sin(), angles.cos()], 2).flatten(1).float()

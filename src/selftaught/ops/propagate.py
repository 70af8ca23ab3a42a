"""Values of reference frames copied to the places of a frame that look alike (Vondrick et al., ECCV 2018, eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def attention(target: Tensor, references: Tensor, *, temperature: float = 1.0) -> Tensor:
    """How much each place of a frame takes of each place of its reference frames.

    A_ji = exp(f_j . f_i / temperature) over its sum over i, in full precision also under autocast.

    Args:
        target: features (N, D, h, w).
        references: features (N, R, D, h, w) of R frames.
        temperature: above 0; towards 0, the most similar place alone is copied.

    Returns:
        (N, h w, R h w) float32, whose rows sum to 1; places row by row.
    """
    with torch.autocast(target.device.type, enabled=False):
        wanted = target.float().flatten(2).transpose(1, 2)
        known = references.float().transpose(1, 2).flatten(2)
        return torch.softmax(torch.bmm(wanted, known) / temperature, 2)


def copied(shares: Tensor, values: Tensor) -> Tensor:
    """Values (N, R, C, h, w) of references, averaged with shares (N, h w, R h w) of `attention` -> (N, C, h, w)."""
    n, _, channels, height, width = values.shape
    with torch.autocast(values.device.type, enabled=False):
        rows = values.float().transpose(1, 2).flatten(2).transpose(1, 2)
        return torch.bmm(shares, rows).transpose(1, 2).reshape(n, channels, height, width)

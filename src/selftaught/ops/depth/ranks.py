"""Ranks of values of which some are unknown, row by row."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_ranks(values: Tensor, known: Tensor) -> Tensor:
    """Ranks from 0 of the known ones of each row, equal values sharing the mean of theirs.

    Args:
        values: (N, K) float, finite where known.
        known: (N, K) bool; what is not has no meaning in the result.

    Returns:
        (N, K) float32, or float64 where values are.
    """
    ordered = values.masked_fill(~known, torch.inf).sort(1).values.contiguous()
    own = values.contiguous()
    below, upto = (torch.searchsorted(ordered, own, right=right) for right in (False, True))
    upto = torch.minimum(upto, known.sum(1, keepdim=True))
    return (below + upto - 1).to(values.dtype) / 2

"""Ranks of known values against SciPy's."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata

from selftaught.ops.depth.ranks import mean_ranks


def test_equal_values_share_their_mean_rank_and_unknown_ones_do_not_count() -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.randint(0, 6, (4, 20), generator=rng).float()
    known = torch.rand(4, 20, generator=rng) < 0.7
    found = mean_ranks(values, known)
    for n in range(4):
        expected = rankdata(values[n][known[n]].numpy()) - 1
        assert np.array_equal(found[n][known[n]].numpy(), expected)

"""Depth: order, ranks and scaled errors against loops and SciPy, what is unknown, and what knows nothing."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from selftaught.evaluation.metrics.depth_maps import (
    lower_is_nearer,
    order_accuracy,
    rank_correlation,
    relative_error,
    scaled_by_median,
    share_near,
)


def drawn(seed: int, n: int = 3, side: int = 12) -> Tensor:
    return 0.5 + 5 * torch.rand(n, side, side, generator=torch.Generator().manual_seed(seed))


def test_order_is_that_of_all_pairs() -> None:
    truth, depth = drawn(1), drawn(2)
    depth = torch.where(drawn(3) > 2, truth, depth)
    truth[:, :3] = 0  # unknown
    truth[0, 5, 5] = torch.nan
    found = order_accuracy(depth, truth)
    for n in range(3):
        known = [(float(t), float(d)) for t, d in zip(truth[n].flatten(), depth[n].flatten(), strict=True) if t > 0]
        pairs = [(a, b) for a, b in permutations(known, 2) if max(a[0], b[0]) / min(a[0], b[0]) >= 1.02]
        share = np.mean([(a[0] > b[0]) == (a[1] > b[1]) for a, b in pairs])
        assert float(found[n]) == pytest.approx(share, abs=0.05)  # of 2000 random ones


def test_any_rising_function_has_the_same_order_and_a_falling_one_the_opposite() -> None:
    truth, depth = drawn(1), drawn(2)
    found = order_accuracy(depth, truth)
    assert torch.equal(order_accuracy(depth.log(), truth), found)
    assert torch.allclose(order_accuracy(-depth, truth), 1 - found)
    assert order_accuracy(truth, truth).tolist() == [1, 1, 1]


def test_what_knows_nothing_is_right_half_of_the_time() -> None:
    truth = drawn(1, side=40)
    assert order_accuracy(torch.ones_like(truth), truth).tolist() == [0.5] * 3
    assert rank_correlation(torch.ones_like(truth), truth).tolist() == [0] * 3
    assert ((order_accuracy(drawn(2, side=40), truth) - 0.5).abs() < 3 * math.sqrt(0.25 / 2000)).all()


def test_ranks_are_those_of_scipy_with_equal_values() -> None:
    truth, depth = drawn(1), (2 * drawn(2)).round()
    truth[:, 4:6, 2:] = 0
    known = drawn(3) > 1
    found = rank_correlation(depth, truth, known=known)
    for n in range(3):
        used = (truth[n] > 0) & known[n]
        expected = spearmanr(depth[n][used].numpy(), truth[n][used].numpy()).statistic
        assert float(found[n]) == pytest.approx(expected, abs=1e-6)


def test_errors_after_scaling_by_the_median_against_loops() -> None:
    truth, depth = drawn(1), drawn(2)
    truth[:, 7] = torch.inf
    scaled = scaled_by_median(depth, truth)
    assert torch.allclose(scaled, scaled_by_median(10 * depth, truth))
    for n in range(3):
        used = truth[n].isfinite()
        scale = sorted(truth[n][used].tolist())[65] / sorted(depth[n][used].tolist())[65]  # the lower of 132
        pairs = [(scale * d, t) for d, t in zip(depth[n][used].tolist(), truth[n][used].tolist(), strict=True)]
        error = np.mean([abs(d - t) / t for d, t in pairs])
        near = np.mean([max(d / t, t / d) < 1.25 for d, t in pairs])
        assert float(relative_error(scaled, truth)[n]) == pytest.approx(error, rel=1e-4)
        assert float(share_near(scaled, truth)[n]) == pytest.approx(near, rel=1e-6)


def test_a_map_without_truth_has_no_value() -> None:
    nothing = torch.zeros(1, 4, 4)
    for metric in (order_accuracy, rank_correlation, relative_error, share_near):
        assert metric(drawn(1, 1, 4), nothing).isnan().all()


def test_of_a_floor_what_is_lower_is_nearer() -> None:
    floor = (1 / torch.arange(1.0, 21))[:, None].expand(1, 20, 20)
    assert order_accuracy(lower_is_nearer(floor), floor).tolist() == [1]
    assert rank_correlation(lower_is_nearer(floor), floor).tolist() == pytest.approx([1])

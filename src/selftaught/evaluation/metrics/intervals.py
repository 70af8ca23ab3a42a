"""Confidence intervals of metrics over test samples, and whether two metrics differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from selftaught.core.randomness import numpy_generator

DRAWS = 1000
"""Resamplings of a bootstrap."""
LEVEL = 0.95
"""Share of the resamplings inside an interval."""


def bootstrap(outcomes: NDArray[np.float32]) -> tuple[float, float]:
    """The percentile interval of the mean of `outcomes` (M,) over M samples drawn with replacement (Efron 1979)."""
    count = len(outcomes)
    rng = numpy_generator("bootstrap", count)
    values, groups = np.unique(outcomes, return_inverse=True)
    if len(values) <= 16:  # resampling counts is resampling samples, and fast
        draws = rng.multinomial(count, np.bincount(groups) / count, size=DRAWS)
        means = draws @ values.astype(np.float64) / count
    else:
        means = np.array([outcomes[rng.integers(0, count, count)].mean(dtype=np.float64) for _ in range(DRAWS)])
    return interval_of(means)


def bootstrap_of(statistic: Callable[[NDArray[np.int64]], float], count: int, draws: int = 200) -> tuple[float, float]:
    """The same for a metric that is not a mean, such as mAP: `statistic` gets the indices of the drawn samples."""
    return interval_of(resample(statistic, count, draws))


def resample(
    statistic: Callable[[NDArray[np.int64]], float],
    count: int,
    draws: int = 200,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The metric on each of `draws` resamplings of `count` samples; draws depend on `count` only.

    Where `groups` (count,) has two or more and fewer than samples, whole groups are drawn, and the distance of each
    draw from the metric of all samples is widened as in `resample_groups`.
    """
    if groups is None or len(np.unique(groups)) in (1, count):
        rng = numpy_generator("bootstrap", count)
        return np.array([statistic(rng.integers(0, count, count)) for _ in range(draws)])
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = numpy_generator("bootstrap", "groups", len(members))
    drawn = [rng.integers(0, len(members), len(members)) for _ in range(draws)]
    found = np.array([statistic(np.concatenate([members[k] for k in each])) for each in drawn])
    middle = statistic(np.arange(count))
    wider: NDArray[np.float64] = middle + widening(len(members)) * (found - middle)
    return wider


def resample_groups(
    outcomes: NDArray[np.float32], groups: NDArray[np.int64], draws: int = DRAWS
) -> NDArray[np.float64]:
    """The mean of `outcomes` (M,) on each of `draws` resamplings of whole groups (M,), such as persons (B,).

    The cluster bootstrap (Davison & Hinkley 1997, section 3.8): samples of one group resemble each other, so that
    intervals over samples would be too narrow. With few groups it is too narrow itself, by sqrt((G - 1) / G) and
    because G groups say little of how much all vary. So the distance of each draw from the mean of all is multiplied by
    sqrt(G / (G - 1)) t / z, with the 97.5 % quantiles of Student's t with G - 1 degrees of freedom and of the normal
    distribution: the two corrections of Hesterberg's expanded percentile interval (The American Statistician 2015),
    which he makes by other quantiles, that few groups do not have. No draw is beyond the least and the greatest
    outcome. Draws depend on the number of groups only.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, weights=outcomes.astype(np.float64))
    times = numpy_generator("bootstrap", "groups", len(counts)).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), size=draws
    )
    means: NDArray[np.float64] = (times @ sums) / (times @ counts)
    middle = sums.sum() / counts.sum()
    wider = middle + widening(len(counts)) * (means - middle)
    kept: NDArray[np.float64] = np.clip(wider, outcomes.min(), outcomes.max())
    return kept


def widening(groups: int) -> float:
    """Of the percentile interval of so many groups, see `resample_groups`; 1 of a single one, of which none varies."""
    if groups < 2:
        return 1.0
    at = (1 + LEVEL) / 2
    return float(math.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, at) / ndtri(at))


FEW_GROUPS = 5
"""Below so many groups an interval cannot be known well."""


def groups_said(groups: int, samples: int) -> str:
    """What an interval of the accuracy over groups is worth, in words."""
    if groups >= FEW_GROUPS:
        return f"the interval is over the {groups} groups of {samples:,} samples, for samples of a group are alike"
    few = "a single group" if groups == 1 else f"{groups} groups"
    return (
        f"the {samples:,} samples are of {few}, from which the interval cannot be known well: how much groups differ "
        f"is guessed from {'nothing' if groups == 1 else 'so few'}, and on new ones the accuracy may be quite another"
    )


def difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[float, float]:
    """The interval of how much higher the mean of `first` is than that of `second`, both on the same test samples."""
    if first.shape != second.shape:
        raise ValueError(f"outcomes must be of the same test samples, got {len(first)} and {len(second)}")
    return bootstrap(first - second)


def unpaired(
    first: float, first_interval: Sequence[float], second: float, second_interval: Sequence[float]
) -> tuple[float, float]:
    """The interval of how much higher `first` is than `second`, as if measured on different samples.

    By the sum of squares of what the two intervals reach to each side (Newcombe, Statistics in Medicine 1998, method
    10); wider than the truth for metrics of the same samples.
    """
    gap = first - second
    below = math.hypot(first - first_interval[0], second_interval[1] - second)
    above = math.hypot(first_interval[1] - first, second - second_interval[0])
    return round(gap - below, 3), round(gap + above, 3)


def interval_of(figures: NDArray[np.float64]) -> tuple[float, float]:
    """The percentile interval of resampled metrics, or of the differences of two encoders' on the same draws."""
    low, high = np.quantile(figures[np.isfinite(figures)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), 3), round(float(high), 3)

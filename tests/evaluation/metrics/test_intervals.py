from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.evaluate import _gain
from selftaught.evaluation.kept_score import keep_score, kept_score
from selftaught.evaluation.metrics.intervals import (
    bootstrap,
    bootstrap_of,
    difference,
    groups_said,
    interval_of,
    resample,
    resample_groups,
    widening,
)
from selftaught.evaluation.probes.base import Score


def test_the_interval_of_a_share_is_about_the_normal_one() -> None:
    outcomes = np.where(np.arange(1000) < 300, 100, 0).astype(np.float32)
    half = 196 * math.sqrt(0.3 * 0.7 / 1000)
    assert bootstrap(outcomes) == pytest.approx((30 - half, 30 + half), abs=0.5)
    found = bootstrap_of(lambda drawn: float(outcomes[drawn].mean()), 1000, draws=1000)
    assert found == pytest.approx((30 - half, 30 + half), abs=0.5)


def test_two_metrics_are_compared_on_the_same_draws() -> None:
    """Two encoders that are right on nearly the same samples differ by little, though each metric is unsure."""
    rng = numpy_generator("pairs")
    first = 100.0 * (rng.random(400) < 0.5)
    second = np.where(np.arange(400) < 20, 0.0, first)
    draws = [resample(lambda drawn, values=values: float(values[drawn].mean()), 400) for values in (first, second)]  # type: ignore[misc]
    scores = [
        Score(value=float(values.mean()), stage="s", stages={}, resampled=drawn)
        for values, drawn in zip((first, second), draws, strict=True)
    ]
    gain = _gain(*scores)
    assert gain["interval"] == list(interval_of(draws[0] - draws[1]))
    assert gain["interval"] == pytest.approx(difference(first.astype(np.float32), second.astype(np.float32)), abs=0.6)
    wide = interval_of(draws[0])
    assert gain["interval"][1] - gain["interval"][0] < 0.6 * (wide[1] - wide[0])
    assert gain["interval"][0] > 0


def test_resampled_metrics_are_kept(tmp_path: Path) -> None:
    keep_score(Score(value=1.0, stage="s", stages={}, resampled=np.arange(3.0)), tmp_path, "key")
    back = kept_score(tmp_path, "key")
    assert back is not None
    assert back.outcomes is None
    assert back.resampled is not None
    assert back.resampled.tolist() == [0, 1, 2]


def test_groups_are_drawn_whole() -> None:
    """Against loops; and of groups whose samples are all alike the interval is that of as many samples as groups.

    7 groups: quantiles of 2.4469 with 6 degrees of freedom, and of 1.9600 of the normal distribution.
    """
    rng = numpy_generator("grouped")
    outcomes, groups = (100.0 * (rng.random(60) < 0.5)).astype(np.float32), rng.integers(0, 7, 60) * 10
    found = resample_groups(outcomes, groups, draws=50)
    names = np.unique(groups)
    times = numpy_generator("bootstrap", "groups", len(names)).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=50
    )
    for drawn, mean in zip(times, found, strict=True):
        values: list[float] = []
        for name, count in zip(names, drawn, strict=True):
            values += outcomes[groups == name].tolist() * int(count)
        away = sum(values) / len(values) - outcomes.mean()
        assert mean == pytest.approx(outcomes.mean() + math.sqrt(7 / 6) * 2.4469 / 1.96 * away, abs=1e-3)
    alike = np.repeat(np.where(np.arange(100) < 40, 100, 0), 9).astype(np.float32)
    half = 196 * math.sqrt(0.4 * 0.6 / 100)
    found = resample_groups(alike, np.repeat(np.arange(100), 9))
    assert interval_of(found) == pytest.approx((40 - half, 40 + half), abs=2)


def test_intervals_over_few_groups_hold_the_truth_as_often_as_they_say() -> None:
    """Groups of 20 samples whose means vary by 15; of 3 groups the plain bootstrap holds it in 77 % of all cases."""
    rng = numpy_generator("few groups")
    for count in (3, 6, 12):
        inside, plain = [], []
        groups = np.repeat(np.arange(count), 20)
        for _ in range(300):
            outcomes = (50 + rng.normal(0, 15, count)[groups] + rng.normal(0, 20, len(groups))).astype(np.float32)
            drawn = resample_groups(outcomes, groups, draws=300)
            low, high = interval_of(drawn)
            inside.append(low <= 50 <= high)
            middle = float(outcomes.mean())
            low, high = interval_of(middle + (drawn - middle) / widening(count))
            plain.append(low <= 50 <= high)
        assert 0.91 <= np.mean(inside) <= 1
        assert np.mean(plain) < np.mean(inside)
        assert count > 3 or np.mean(plain) < 0.85


def test_resampled_means_stay_within_the_outcomes() -> None:
    outcomes = np.repeat([0, 100, 100], 5).astype(np.float32)
    found = resample_groups(outcomes, np.repeat([1, 2, 3], 5))
    assert (found.min(), found.max()) == (0, 100)
    assert widening(1) == 1
    assert widening(3) == pytest.approx(math.sqrt(1.5) * 4.3027 / 1.96, abs=1e-3)


def test_metrics_that_are_no_means_are_resampled_by_groups() -> None:
    """Against loops; groups of one sample each are samples, and one group says nothing of others."""
    values, groups = np.array([1.0, 4, 2, 8, 5, 7]), np.array([3, 3, 5, 5, 5, 9])

    def median(rows: np.ndarray) -> float:
        return float(np.median(values[rows]))

    found = resample(median, 6, draws=40, groups=groups)
    rng, members = numpy_generator("bootstrap", "groups", 3), {0: [0, 1], 1: [2, 3, 4], 2: [5]}
    for value in found:
        rows = [row for k in rng.integers(0, 3, 3).tolist() for row in members[k]]
        away = float(np.median(values[rows])) - 4.5
        assert value == pytest.approx(4.5 + math.sqrt(1.5) * 4.30265 / 1.95996 * away, abs=1e-3)
    plain = resample(median, 6, draws=40)
    assert np.array_equal(resample(median, 6, draws=40, groups=np.arange(6)), plain)
    assert np.array_equal(resample(median, 6, draws=40, groups=np.zeros(6, np.int64)), plain)


def test_too_few_groups_are_said_in_words() -> None:
    assert (
        groups_said(9, 1200) == "the interval is over the 9 groups of 1,200 samples, for samples of a group are alike"
    )
    assert groups_said(3, 60).startswith("the 60 samples are of 3 groups, from which the interval cannot be known well")
    assert "a single group" in groups_said(1, 60)

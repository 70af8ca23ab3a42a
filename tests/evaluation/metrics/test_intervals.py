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
    interval_of,
    resample,
    resample_groups,
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
    """Against loops; and of groups whose samples are all alike the interval is that of as many samples as groups."""
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
        assert mean == pytest.approx(sum(values) / len(values))
    alike = np.repeat(np.where(np.arange(100) < 40, 100, 0), 9).astype(np.float32)
    half = 196 * math.sqrt(0.4 * 0.6 / 100)
    found = resample_groups(alike, np.repeat(np.arange(100), 9))
    assert interval_of(found) == pytest.approx((40 - half, 40 + half), abs=2)

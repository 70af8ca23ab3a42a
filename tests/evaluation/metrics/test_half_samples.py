from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator, numpy_generator
from selftaught.evaluation.metrics.half_samples import with_intervals
from selftaught.features.diagnostics import rankme


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    x = numpy_generator("half samples of a mean").normal(3, 2, 400)
    found = with_intervals(lambda rows: {"mean": float(x[rows].mean())}, len(x), draws=300)["mean"]
    low, high = found["interval"]  # type: ignore[misc]
    assert found["value"] == pytest.approx(x.mean(), abs=1e-3)
    assert (low + high) / 2 == pytest.approx(x.mean(), abs=1e-3)
    assert high - low == pytest.approx(2 * 1.96 * x.std(ddof=1) / math.sqrt(len(x)), rel=0.15)


def test_the_interval_of_a_rank_holds_the_rank_although_halves_have_a_lower_one() -> None:
    features = torch.randn(60, 40, generator=generator("half samples of a rank"))
    found = with_intervals(lambda rows: {"rankme": rankme(features[rows])}, 60, draws=20)["rankme"]
    low, high = found["interval"]  # type: ignore[misc]
    assert rankme(features[:30]) < low < rankme(features) < high


def test_metrics_are_functions_of_the_seed_and_what_is_not_finite_is_none() -> None:
    x = np.arange(20.0)

    def figures(rows: np.ndarray) -> dict[str, float]:
        return {"mean": float(x[rows].mean()), "none": math.nan, "of all": 1.0 if len(rows) == 20 else math.nan}

    first, again, other = (with_intervals(figures, 20, draws=5, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["mean"]["interval"] != other["mean"]["interval"]
    assert first["none"] == {"value": None, "interval": None}
    assert first["of all"] == {"value": 1.0, "interval": None}

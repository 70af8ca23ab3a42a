"""The score of a mean over test samples, from the outcomes of every stage."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.metrics.intervals import bootstrap
from selftaught.evaluation.probes.base import best_stage


def test_the_best_stage_gives_value_interval_and_outcomes() -> None:
    rng = np.random.default_rng(0)
    outcomes = {name: (100 * (rng.random(60) < share)).astype(np.float32) for name, share in (("a", 0.3), ("b", 0.8))}
    score = best_stage(outcomes, {"k": 3})
    assert score.stages == {
        name: round(float(np.mean(values, dtype=np.float64)), 3) for name, values in outcomes.items()
    }
    assert (score.stage, score.value) == ("b", score.stages["b"])
    assert score.stage_intervals == {name: bootstrap(values) for name, values in outcomes.items()}
    assert score.interval == score.stage_intervals["b"]
    assert score.outcomes is outcomes["b"]
    assert score.more == {"k": 3}


def test_of_equal_stages_the_first_is_the_best() -> None:
    same = np.array([100, 0, 100], np.float32)
    score = best_stage({"a": same, "b": same})
    assert (score.stage, score.value, score.more) == ("a", 66.667, {})

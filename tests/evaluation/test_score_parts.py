"""Scores of folds become one."""

from __future__ import annotations

import dataclasses

import numpy as np

from selftaught.evaluation.data.base import EvaluationData
from selftaught.evaluation.probes.base import Score, best_stage
from selftaught.evaluation.score_parts import score_parts
from tests.evaluation.drawn_classes import drawn_data

FOLDS = tuple(drawn_data(train=24, test=count) for count in (10, 30))
DATA = dataclasses.replace(FOLDS[0], folds=FOLDS)


def test_one_part_is_scored_as_it_is() -> None:
    score = Score(value=1.0, stage="a", stages={"a": 1.0})
    assert score_parts(lambda _: score, FOLDS[0]) is score


def test_means_over_samples_are_those_of_all_samples() -> None:
    def of(data: EvaluationData) -> Score:
        return best_stage({"a": np.full(len(data.test), 100 * (len(data.test) == 10), np.float32)}, {"k": 3})

    found = score_parts(of, DATA)
    assert (found.value, found.more) == (25.0, {"folds": 2, "fold_values": [100.0, 0.0], "k": 3})
    assert found.outcomes is not None
    assert len(found.outcomes) == 40


def test_the_gallery_is_that_of_the_first_part_and_queries_are_counted() -> None:
    def of(data: EvaluationData) -> Score:
        more = {"gallery": [len(data.test)], "queries": len(data.test), "searched": 40 - len(data.test)}
        return best_stage({"a": np.zeros(len(data.test), np.float32)}, more)

    found = score_parts(of, DATA)
    assert {name: found.more[name] for name in ("gallery", "queries", "searched")} == {
        "gallery": [10],
        "queries": 40,
        "searched": 15.0,
    }


def test_other_metrics_are_weighed_by_test_samples_with_the_stage_chosen_after() -> None:
    def of(data: EvaluationData) -> Score:
        small = len(data.test) == 10
        return Score(value=80, stage="a", stages={"a": 80.0 if small else 40.0, "b": 20.0 if small else 64.0})

    found = score_parts(of, DATA)
    assert (found.value, found.stage, found.stages) == (53.0, "b", {"a": 50.0, "b": 53.0})
    assert found.interval is None

"""Labels saved, on curves made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from selftaught.evaluation.metrics.labels_saved import Needed, labels_needed, labels_saved

LABELS = (100, 1000, 10_000)
CURVE = (20.0, 40.0, 80.0)


def row(labels: int, encoder: list[float], scratch: list[float]) -> dict[str, Any]:
    def score(values: list[float]) -> dict[str, Any]:
        return {"value": sum(values) / len(values), "spread": None, "values": values}

    return {
        "fraction": labels / 10_000,
        "train_samples": labels,
        "encoder": score(encoder),
        "random": score(scratch),
    }


@pytest.mark.parametrize(
    ("value", "labels"),
    [(20.0, 100), (30.0, math.sqrt(100 * 1000)), (40.0, 1000), (50.0, 1000 * 10**0.25), (80.0, 10_000)],
)
def test_between_points_the_curve_is_straight_over_the_logarithm(value: float, labels: float) -> None:
    found = labels_needed(LABELS, CURVE, value)
    assert found.bound is None
    assert found.labels == pytest.approx(labels)


def test_outside_of_the_curve_there_is_a_bound_and_no_number() -> None:
    assert labels_needed(LABELS, CURVE, 80.001) == Needed(labels=10_000, bound="more than")
    assert labels_needed(LABELS, CURVE, 19.999) == Needed(labels=100, bound="fewer than")
    assert labels_needed([500], [30.0], 31.0) == Needed(labels=500, bound="more than")


def test_the_first_crossing_of_a_curve_that_goes_down_counts() -> None:
    assert labels_needed((100, 1000, 10_000), (20.0, 60.0, 50.0), 60.0).labels == pytest.approx(1000)
    found = labels_needed((100, 1000, 10_000, 100_000), (40.0, 20.0, 30.0, 50.0), 45.0)
    assert found.labels == pytest.approx(10_000 * 10**0.75)
    assert labels_needed((100, 1000), (40.0, 20.0), 30.0) == Needed(labels=100, bound="fewer than")


def test_every_number_of_labels_has_its_row() -> None:
    rows = labels_saved([row(10_000, [85.0], [80.0]), row(100, [30.0], [20.0]), row(1000, [15.0], [40.0])])
    assert [found["labels"] for found in rows] == [100, 1000, 10_000]
    assert rows[0] == {
        "fraction": 0.01,
        "labels": 100,
        "value": 30.0,
        "scratch_labels": 316,
        "bound": None,
        "bound_labels": None,
        "saved": 216,
        "factor": 3.16,
        "range": None,
    }
    assert (rows[1]["scratch_labels"], rows[1]["bound"], rows[1]["bound_labels"]) == (None, "fewer than", 100)
    assert (rows[2]["saved"], rows[2]["bound"], rows[2]["bound_labels"]) == (None, "more than", 10_000)


def test_an_encoder_worse_than_from_scratch_saves_a_negative_number() -> None:
    found = labels_saved([row(100, [10.0], [20.0]), row(1000, [30.0], [40.0])])[1]
    assert (found["scratch_labels"], found["saved"], found["factor"]) == (316, -684, 0.32)


def test_the_range_takes_each_draw_by_itself() -> None:
    rows = labels_saved([row(100, [25.0, 35.0], [20.0, 20.0]), row(1000, [90.0], [40.0])])
    assert rows[0]["scratch_labels"] == 316
    assert rows[0]["range"] == [round(100 * 10**0.25), round(100 * 10**0.75)]
    assert rows[1]["range"] == [1000, None]
    assert labels_saved([row(100, [15.0, 35.0], [20.0, 20.0]), row(1000, [90.0], [40.0])])[0]["range"] == [None, 562]

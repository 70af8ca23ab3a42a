"""Accuracy with intervals, gains on the same samples, and calibration that is measured on other samples."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.evaluation.metrics.calibration import grouped_interval
from selftaught.evaluation.models.worth import Judged, accuracy_of, calibrated, gain_of, interval_said
from tests.evaluation.metrics.test_calibration import drawn


def judged(right: list[int], **more: np.ndarray) -> Judged:
    labels = np.arange(len(right)) % 2
    return Judged(logits=np.eye(2)[np.where(right, labels, 1 - labels)] * 3, labels=labels, **more)


def test_accuracy_and_its_interval() -> None:
    found = accuracy_of(judged([1, 0, 1, 1]), ("a", "b", "c"))
    assert (found["accuracy"], found["samples"], found["balanced_accuracy"]) == (75.0, 4, 75.0)
    assert found["by_class"] == {"a": 100.0, "b": 50.0, "c": None}
    assert found["interval"] == pytest.approx([30.06, 95.44], abs=0.01)


def test_intervals_are_over_groups_where_there_are_some() -> None:
    groups = np.repeat([0, 1], 4)
    found = accuracy_of(judged([1] * 4 + [0] * 4, groups=groups), ("a", "b"))
    assert found["groups"] == 2
    assert found["interval"] == list(grouped_interval(np.repeat([True, False], 4), groups))
    assert found["interval"][1] - found["interval"][0] > 95  # nothing is known from two groups that disagree
    assert interval_said(found).startswith(
        "the 8 samples are of 2 groups, from which the interval cannot be known well"
    )
    assert interval_said(accuracy_of(judged([1] * 8), ("a", "b"))) == ""
    gain = gain_of(judged([1] * 8, groups=groups), judged([1] * 4 + [0] * 4, groups=groups))
    assert gain == {"value": 50.0, "interval": [0.0, 100.0]}


def test_a_gain_is_measured_on_the_same_samples() -> None:
    assert gain_of(judged([1, 1, 1, 0]), judged([1, 1, 1, 0])) == {"value": 0.0, "interval": [0.0, 0.0]}


def test_the_order_is_by_accuracy_and_then_by_confidence_in_it() -> None:
    logits, labels = drawn(400)
    sharp, blurred = Judged(logits=logits, labels=labels), Judged(logits=np.sign(logits) * logits**2, labels=labels)
    assert sharp.order > blurred.order or sharp.order[0] < blurred.order[0]
    assert judged([1, 1]).order > judged([1, 0]).order
    assert judged([1, 0], weights=np.array([3.0, 1.0])).order[0] == 0.75


def test_the_error_after_a_temperature_divides_no_group() -> None:
    logits = np.concatenate([np.tile([4.0, 0.0], (50, 1)), np.tile([4.0, 0.0], (50, 1))])
    labels = np.repeat([0, 1], 50)  # one person is always right, the other never
    apart = Judged(logits=logits, labels=labels, groups=labels)
    mixed = calibrated(Judged(logits=logits, labels=labels), seed=0)[1]
    assert mixed["ece_after"] < 10
    # Each by a temperature of the other: right with a confidence of 0.52, and wrong with one of 1.
    assert calibrated(apart, seed=0)[1]["ece_after"] == pytest.approx(74, abs=0.5)
    single = Judged(logits=logits, labels=labels, groups=np.zeros_like(labels))
    found = calibrated(single, seed=0)[1]
    assert found["ece_after"] is None
    assert found["temperature"] > 1


def test_temperature_lowers_the_error_of_samples_it_was_not_fitted_to() -> None:
    logits, labels = drawn(2000)
    hot, found = calibrated(Judged(logits=logits, labels=labels), seed=0)
    assert hot == pytest.approx(2.0, rel=0.1)
    assert found["ece_after"] < 4 < 10 < found["ece_before"]
    assert found["samples"] == 2000

from __future__ import annotations

import math
from typing import Any

import pytest

from selftaught.report.facts.evaluations import (
    Estimate,
    difference,
    gain,
    in_order,
    main_evaluation,
    protocol_words,
    within_words,
)


def test_the_gain_is_that_of_the_file_with_its_paired_interval() -> None:
    evaluation = {
        "metric": "top1",
        "value": 60.0,
        "interval": [58, 62],
        "random": {"value": 50.0, "interval": [48, 52]},
    }
    paired = evaluation | {"gain": {"value": 10.0, "interval": [9.0, 11.0]}}
    assert gain(paired) == Estimate(10.0, (9.0, 11.0))
    unpaired = gain(evaluation | {"gain": {"value": 10.0, "interval": None}})
    assert unpaired is not None
    assert unpaired.interval == pytest.approx((10 - math.sqrt(8), 10 + math.sqrt(8)))


def test_an_accuracy_without_interval_has_that_of_a_share() -> None:
    old = {"metric": "top1", "value": 60.0, "test_samples": 400, "random": {"value": 50.0}}
    found = gain(old)
    assert found is not None
    half = 196 * math.sqrt((0.6 * 0.4 + 0.5 * 0.5) / 400)
    assert found.interval == pytest.approx((10 - half, 10 + half))
    other = gain({**old, "metric": "map"})
    assert other == Estimate(10.0), "a share of samples is known of accuracies only"


@pytest.mark.parametrize("broken", [None, [], [1.0], [1.0, None], "1 to 2", [math.nan, 1.0]])
def test_a_broken_interval_is_none(broken: Any) -> None:
    found = gain({"metric": "map", "value": 60.0, "random": {"value": 50.0}, "gain": {"value": 10, "interval": broken}})
    assert found == Estimate(10.0)


def test_what_is_distinct_leaves_out_zero() -> None:
    assert Estimate(1.0, (0.1, 2.0)).is_distinct is True
    assert Estimate(-1.0, (-2.0, -0.1)).is_distinct is True
    assert Estimate(1.0, (0.0, 2.0)).is_distinct is False
    assert Estimate(1.0).is_distinct is None
    assert difference(None, Estimate(1.0)) is None


def test_evaluations_come_in_the_order_of_the_protocols() -> None:
    names = [("knn", 1.0, 9), ("linear", 0.01, 9), ("mine", 1.0, 9), ("linear", 1.0, 5), ("linear", 1.0, 9)]
    listed = [{"probe": p, "fraction": f, "train_samples": n} for p, f, n in names]
    found = [(e["probe"], e["fraction"], e["train_samples"]) for e in in_order(listed)]
    assert found == [("linear", 1.0, 9), ("linear", 1.0, 5), ("linear", 0.01, 9), ("knn", 1.0, 9), ("mine", 1.0, 9)]
    assert main_evaluation([{"probe": "label_free"}, {"probe": "qualitative"}]) is None


@pytest.mark.parametrize(
    ("probe", "fraction", "words"),
    [
        ("linear", 1.0, "in the linear probe"),
        ("linear", 0.01, "in the linear probe on 1 % of the labels"),
        ("svm", 1.0, "in the linear SVM"),
        ("retrieval", 1.0, "in retrieval"),
        ("my_own", 1.0, "in the my own probe"),
    ],
)
def test_protocols_have_words(probe: str, fraction: float, words: str) -> None:
    assert within_words({"probe": probe, "fraction": fraction}) == words


@pytest.mark.parametrize(
    ("fraction", "limit", "words"),
    [
        (1.0, None, "linear probe"),
        (0.1, None, "linear probe on 10 % of the labels"),
        (0.1, 30000, "linear probe on 2,998 labels"),
        (1.0, 3000, "linear probe on 2,998 labels"),
    ],
)
def test_a_limit_of_the_labels_is_reported(fraction: float, limit: int | None, words: str) -> None:
    found = {"probe": "linear", "fraction": fraction, "limit": limit, "train_samples": 2998}
    assert protocol_words(found) == words


def test_evaluations_of_other_encoders_come_last_and_name_them() -> None:
    other = {"probe": "linear", "other_part": "audio_encoder", "value": 90.0}
    own = {"probe": "knn", "value": 50.0}
    assert in_order([other, own]) == [own, other]
    assert main_evaluation([other, own]) == own
    assert [protocol_words(e) for e in (other, own)] == ["linear probe (audio_encoder)", "k-NN probe"]

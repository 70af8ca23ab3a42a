"""Calibration error, temperature, intervals of shares and thresholds, each from its formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from selftaught.evaluation.metrics.calibration import (
    calibration_error,
    dealt_parts,
    fit_temperature,
    grouped_interval,
    log_loss,
    share_interval,
    threshold_for,
)


def drawn(count: int = 4000, hot: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn by their softmax at a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 4))
    labels = (rng.random((count, 1)) > softmax(logits / hot, axis=1).cumsum(1)).sum(1)
    return logits, labels


def test_the_error_is_that_of_the_definition() -> None:
    probabilities, labels = softmax(drawn(300)[0], axis=1), drawn(300)[1]
    total = 0.0
    for b in range(15):
        inside = [i for i in range(300) if b / 15 < probabilities[i].max() <= (b + 1) / 15]
        if inside:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            total += len(inside) / 300 * abs(accuracy - np.mean([probabilities[i].max() for i in inside]))
    assert calibration_error(probabilities, labels) == pytest.approx(100 * total)


def test_samples_count_as_their_weights_say() -> None:
    probabilities, labels = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1])
    assert calibration_error(probabilities, labels, np.array([1.0, 3.0])) == pytest.approx(100 * (0.1 + 3 * 0.6) / 4)
    assert log_loss(np.zeros((2, 2)), labels, np.array([1.0, 3.0])) == pytest.approx(np.log(2))


def test_the_temperature_by_which_labels_were_drawn_is_found() -> None:
    logits, labels = drawn()
    assert fit_temperature(logits, labels) == pytest.approx(2.0, rel=0.05)
    before, after = (calibration_error(softmax(logits / hot, axis=1), labels) for hot in (1.0, 2.0))
    assert after < 3 < 10 < before


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert share_interval(0, 10) == pytest.approx((0.0, 27.753), abs=1e-3)
    assert share_interval(81, 263) == pytest.approx((25.53, 36.62), abs=1e-2)


def test_the_threshold_answers_as_many_as_the_error_allows() -> None:
    confidence = np.array([0.6, 0.9, 0.8, 0.7, 0.5])
    right = np.array([False, True, True, True, False])
    found = threshold_for(confidence, right, 0.25)
    assert found.confidence == 0.6
    assert threshold_for(confidence, right, 0.0).confidence == 0.7
    tied = threshold_for(np.array([0.9, 0.7, 0.7]), np.array([True, True, False]), 0.1)
    assert tied.confidence == 0.9  # the two others stand or fall together


def test_the_error_of_a_threshold_is_of_samples_that_did_not_choose_it() -> None:
    rng = np.random.default_rng(7)
    confidence, right = rng.random(60), rng.random(60) < 0.7  # confidence says nothing
    found, part = threshold_for(confidence, right, 0.2), dealt_parts(60, 10, None, "threshold")
    wrong = answered = 0
    for k in range(10):
        own = [c for c in confidence[part != k] if (~right[(part != k) & (confidence >= c)]).mean() <= 0.2]
        for i in np.flatnonzero(part == k):
            answered += confidence[i] >= min(own, default=2)
            wrong += confidence[i] >= min(own, default=2) and not right[i]
    assert (~right[confidence >= found.confidence]).mean() <= 0.2
    assert (found.error, found.answered) == (round(100 * wrong / answered, 3), round(100 * answered / 60, 3))
    assert found.error is not None
    assert found.error > 20
    assert found.interval == share_interval(wrong, answered)


def test_a_single_certain_answer_states_no_error() -> None:
    found = threshold_for(np.array([0.9, 0.8, 0.7]), np.array([True, False, False]), 0.1)
    assert (found.confidence, found.error, found.interval, found.answered) == (0.9, None, (0.0, 100.0), 0.0)


def test_groups_choose_or_measure_but_not_both() -> None:
    groups = np.repeat(np.arange(6), 10)
    part = dealt_parts(60, 2, groups, "any")
    assert [len(set(part[groups == k])) for k in range(6)] == [1] * 6
    right = groups != 0
    found = threshold_for(np.linspace(0.5, 1, 60), right, 0.05, groups)
    assert found.error == 0.0  # persons 1 to 5 are right, and 0 is the least certain
    assert threshold_for(np.linspace(1, 0.5, 60), groups != 3, 0.0, groups).interval[1] > 30  # a person in two


def test_an_error_that_no_threshold_keeps_to_is_said() -> None:
    with pytest.raises(ValueError, match=r"^--error 0.1 is reached by no threshold on the 2 held-back samples: of the"):
        threshold_for(np.array([0.9, 0.8]), np.array([False, True]), 0.1)


def by_loops(outcomes: np.ndarray, groups: np.ndarray, t_groups: float, t_samples: float) -> tuple[float, float]:
    """Wilson's interval of the effective number of samples, written out."""
    total, names = len(outcomes), sorted(set(groups.tolist()))
    share = sum(outcomes.tolist()) / total
    squares = 0.0
    for name in names:
        squares += sum(y - share for y, g in zip(outcomes.tolist(), groups.tolist(), strict=True) if g == name) ** 2
    variance = len(names) / (len(names) - 1) * squares / total**2
    worth = min(total, share * (1 - share) / variance * (t_samples / t_groups) ** 2)
    return share_interval(share * worth, worth)


def test_samples_of_a_group_are_worth_fewer() -> None:
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.repeat([4, 7, 9], [10, 20, 15]))
    outcomes = rng.random(45) < np.select([groups == 4, groups == 7], [0.9, 0.3], 0.6)
    found = grouped_interval(outcomes, groups)
    assert found == pytest.approx(by_loops(outcomes, groups, 4.30265, 2.01537), abs=0.02)
    own = share_interval(int(outcomes.sum()), 45)
    assert found[0] < own[0] < own[1] < found[1]
    assert grouped_interval(outcomes, None) == grouped_interval(outcomes, np.arange(45)) == own


def test_groups_that_all_agree_count_as_one_sample_each() -> None:
    right, groups = np.ones(60, bool), np.repeat(np.arange(3), 20)
    assert grouped_interval(right, groups) == share_interval(3, 3)
    assert grouped_interval(~right, groups) == share_interval(0, 3)
    assert grouped_interval(right, np.zeros(60, np.int64)) == share_interval(1, 1)
    half = np.arange(60) % 2 == 0
    assert grouped_interval(half, groups) == share_interval(1.5, 3)


@pytest.mark.parametrize("share", [0.6, 0.9])
@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_the_interval_of_few_groups_holds_the_truth(share: float, count: int) -> None:
    """Groups of 10 to 30 samples whose own shares vary by a beta distribution of a correlation of 0.2."""
    rng = np.random.default_rng(count)
    inside: list[bool] = []
    alone: list[bool] = []
    for _ in range(250):
        own = rng.beta(4 * share, 4 * (1 - share), count)
        groups = np.repeat(np.arange(count), rng.integers(10, 31, count))
        outcomes = rng.random(len(groups)) < own[groups]
        for held, (low, high) in (
            (inside, grouped_interval(outcomes, groups)),
            (alone, share_interval(int(outcomes.sum()), len(groups))),
        ):
            held.append(low <= 100 * share <= high)
    assert np.mean(inside) >= 0.9
    assert np.mean(alone) < 0.75

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics.average_precision import Rankings


def ranked(count: int = 60, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = numpy_generator("ranked", int(ties))
    targets = rng.choice([0, 1, -1], p=[0.6, 0.3, 0.1], size=(count, 3)).astype(np.int8)
    scores = rng.normal(size=(count, 3)) + targets
    return (scores.round(0) if ties else scores), targets


def curve(scores: np.ndarray, targets: np.ndarray) -> list[tuple[float, float]]:
    """(recall, precision) after every distinct score, by counting."""
    found = []
    known = [(s, t) for s, t in zip(scores.tolist(), targets.tolist(), strict=True) if t != -1]
    positives = sum(t == 1 for _, t in known)
    for least in sorted({s for s, _ in known}, reverse=True):
        taken = [t for s, t in known if s >= least]
        found.append((taken.count(1) / positives, taken.count(1) / len(taken)))
    return found


@pytest.mark.parametrize("ties", [False, True])
def test_three_forms_equal_scikit_learn_and_loops(ties: bool) -> None:
    scores, targets = ranked(ties=ties)
    ranking = Rankings(scores, targets)
    for k in range(3):
        counted = targets[:, k] != -1
        expected = average_precision_score(targets[counted, k] == 1, scores[counted, k])
        assert ranking.area()[k] == pytest.approx(expected)
        points = curve(scores[:, k], targets[:, k])
        interpolated, before = 0.0, 0.0
        for recall, _ in points:
            interpolated += (recall - before) * max(p for r, p in points if r >= recall)
            before = recall
        assert ranking.interpolated_area()[k] == pytest.approx(interpolated)
        eleven = [max(p for r, p in points if r >= t / 10 - 1e-9) for t in range(11)]
        assert ranking.eleven_points()[k] == pytest.approx(sum(eleven) / 11)


@pytest.mark.parametrize("ties", [False, True])
def test_drawn_samples_count_as_often_as_they_were_drawn(ties: bool) -> None:
    scores, targets = ranked(ties=ties)
    drawn = numpy_generator("drawn").integers(0, 60, 60)
    ranking, repeated = Rankings(scores, targets), Rankings(scores[drawn], targets[drawn])
    assert np.allclose(ranking.area(drawn), repeated.area())
    assert np.allclose(ranking.interpolated_area(drawn), repeated.interpolated_area())
    assert np.allclose(ranking.eleven_points(drawn), repeated.eleven_points())
    assert np.allclose(ranking.area(np.arange(60)), ranking.area())


def test_equal_scores_do_not_depend_on_the_order_of_the_data() -> None:
    targets = np.array([[1]] * 5 + [[0]] * 15, np.int8)
    ranking = Rankings(np.zeros((20, 1)), targets)
    for values in (ranking.area(), ranking.interpolated_area(), ranking.eleven_points()):
        assert values.tolist() == pytest.approx([0.25])


def test_a_class_that_nothing_shows_has_no_metric() -> None:
    ranking = Rankings(np.array([[0.9, 0.1], [0.1, 0.2]]), np.array([[1, 0], [0, -1]], np.int8))
    for values in (ranking.area(), ranking.interpolated_area(), ranking.eleven_points()):
        assert values[0] == pytest.approx(1)
        assert np.isnan(values[1])

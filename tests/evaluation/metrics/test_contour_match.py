"""ODS, OIS and AP of contours against the definitions, with assignments tried one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from selftaught.evaluation.metrics.contour_match import (
    count_matches,
    matches,
    score_contours,
    thinned,
    thresholds_of,
)


def best_by_trying(points: np.ndarray, others: np.ndarray, reach: float) -> tuple[int, float]:
    """Most pairs, and their least sum of distances, of all assignments."""
    best = (0, 0.0)
    for size in range(min(len(points), len(others)), 0, -1):
        sums = [
            sum(distances)
            for rows in itertools.combinations(range(len(points)), size)
            for columns in itertools.permutations(range(len(others)), size)
            if max(distances := [math.dist(points[i], others[j]) for i, j in zip(rows, columns, strict=True)]) <= reach
        ]
        if sums:
            return size, min(sums)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_assignment_has_the_most_pairs_and_then_the_least_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, others = (np.unique(rng.integers(0, 6, (4, 2)), axis=0) for _ in range(2))
    rows = matches(points, cKDTree(others), 2.3)
    count, least = best_by_trying(points, others, 2.3)
    assert len(rows) == count
    assert best_by_trying(points[rows], others, 2.3)[1] == pytest.approx(least)


def test_a_pixel_is_matched_once() -> None:
    """Two lines beside one that was drawn: one of them is wrong."""
    edges, drawn = np.zeros((60, 80)), np.zeros((1, 60, 80), bool)
    edges[20], edges[22], drawn[0, 21] = 1, 1, True
    assert count_matches(edges, drawn, np.array([0.5]), tolerance=0.02).tolist() == [[80, 80, 80, 160]]


def test_several_people() -> None:
    """Found pixels are right where any one drew them; what each drew is to be found."""
    edges, drawn = np.zeros((60, 80)), np.zeros((3, 60, 80), bool)
    edges[20] = 1
    edges[50, :40] = 0.3
    drawn[0, 20] = drawn[1, 21] = drawn[2, 50] = True
    found = count_matches(edges, drawn, np.array([0.2, 0.5]), tolerance=0.02)
    assert found.tolist() == [[200, 240, 120, 120], [160, 240, 80, 80]]


@pytest.mark.parametrize(("away", "is_matched"), [(4, True), (5, False)])
def test_the_tolerance_is_a_share_of_the_diagonal(away: int, is_matched: bool) -> None:
    """4.34 pixels of an image of the Berkeley data."""
    edges, drawn = np.zeros((321, 481)), np.zeros((1, 321, 481), bool)
    edges[100], drawn[0, 100 + away] = 1, True
    assert bool(count_matches(edges, drawn, np.array([0.5]))[0, 2]) is is_matched


def test_scores_by_loops() -> None:
    rng = np.random.default_rng(0)
    thresholds = thresholds_of(5)
    counts = rng.integers(1, 50, (4, 5, 4))
    counts[..., 1] = counts[..., :1].max() + 20
    counts[..., 3] = counts[..., 2] + rng.integers(0, 30, (4, 5))

    def f(one: np.ndarray) -> tuple[float, float, float]:
        recall, precision = one[0] / one[1], one[2] / one[3]
        return recall, precision, 2 * recall * precision / (recall + precision)

    found = score_contours(counts, thresholds)
    whole = [f(counts[:, k].sum(0)) for k in range(5)]
    best = max(
        2 * r * p / (r + p)
        for k in range(4)
        for a in np.linspace(0, 1, 100)
        for r, p in [(a * whole[k + 1][i] + (1 - a) * whole[k][i] for i in range(2))]
    )
    assert found.ods == pytest.approx(best)
    own = [max(range(5), key=lambda k, n=n: f(counts[n, k])[2]) for n in range(4)]  # type: ignore[misc]
    assert found.ois == pytest.approx(f(sum(counts[n, k] for n, k in enumerate(own)))[2])
    assert found.precision.tolist() == pytest.approx([p for _, p, _ in whole])


def test_average_precision_of_a_known_curve() -> None:
    """Precision falls from 1 at recall 0.25 to 0.5 at recall 0.75; 51 of 101 recalls are reached."""
    counts = np.array([[[75, 100, 50, 100], [25, 100, 10, 10]]])
    found = score_contours(counts, np.array([0.3, 0.6]))
    assert found.ap == pytest.approx(sum(1 - (r - 25) / 100 for r in range(25, 76)) / 100)


def test_nothing_found_and_nothing_drawn() -> None:
    none = count_matches(np.zeros((30, 40)), np.zeros((2, 30, 40), bool), thresholds_of(3))
    found = score_contours(none[None], thresholds_of(3))
    assert (found.ods, found.ois, found.ap) == (0, 0, 0)


def test_thinning_leaves_lines_that_hang_together() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:12, 5:50] = mask[5:35, 40:47] = True
    lines = thinned(mask)
    assert not (lines & ~mask).any()
    assert 50 <= lines.sum() <= 75
    assert not (lines[:-1, :-1] & lines[1:, :-1] & lines[:-1, 1:] & lines[1:, 1:]).any()
    seen, waiting = set(), [tuple(np.argwhere(lines)[0])]
    while waiting:
        y, x = waiting.pop()
        if (y, x) not in seen:
            seen.add((y, x))
            waiting += [(v, u) for v in (y - 1, y, y + 1) for u in (x - 1, x, x + 1) if lines[v, u]]
    assert len(seen) == lines.sum()
    assert np.array_equal(thinned(lines), lines)
    one = np.eye(9, dtype=bool)
    assert np.array_equal(thinned(one), one)

"""Which samples are suggested: spread ones, typical ones, uncertain ones; against plain loops and against chance."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.evaluation.suggest.choose import choose, k_centre, margins, typical, uncertain
from selftaught.features.neighbours import unit_length


def blobs(sizes: tuple[int, ...] = (60, 30, 20, 10)) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around some directions, and which one."""
    rng = np.random.default_rng(0)
    centres = np.eye(len(sizes), 12, dtype=np.float32) * 4
    part = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[part] + rng.normal(0, 0.3, (len(part), 12))).astype(np.float32), part


def test_k_centre_takes_the_farthest_each_time() -> None:
    vectors, _ = blobs()
    unit, known = unit_length(vectors), np.array([3, 70])
    expected, seen = [], list(known)
    for _ in range(5):
        nearest = [max(float(unit[i] @ unit[j]) for j in seen) if i not in seen else np.inf for i in range(len(unit))]
        expected.append(int(np.argmin(nearest)))
        seen.append(expected[-1])
    assert k_centre(vectors, 5, known).tolist() == expected


@pytest.mark.parametrize("way", ["typical", "k_centre"])
def test_every_part_of_the_data_is_covered(way: str) -> None:
    vectors, part = blobs()
    assert sorted(part[choose(vectors, 4, way=way)]) == [0, 1, 2, 3]  # type: ignore[arg-type]
    known = np.flatnonzero(part == 0)[:1]
    chosen = choose(vectors, 3, way=way, known=known)  # type: ignore[arg-type]
    assert sorted(part[chosen]) == [1, 2, 3]


def test_typical_samples_are_in_the_middle_and_largest_parts_come_first() -> None:
    vectors, part = blobs()
    chosen = typical(vectors, 4, np.zeros(0, np.int64))
    assert part[chosen].tolist() == [0, 1, 2, 3]
    unit = unit_length(vectors)
    for row in chosen:
        others = unit[part == part[row]]
        spread = (others @ others.mean(0)).mean()
        assert unit[row] @ others.mean(0) > spread


def test_nothing_is_suggested_twice_and_never_more_than_there_is() -> None:
    vectors, _ = blobs((4, 3))
    for way in ("typical", "k_centre"):
        chosen = choose(vectors, 100, way=way, known=np.array([2]))
        assert sorted(chosen) == [0, 1, 3, 4, 5, 6]


def test_margins() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1], [0.9, 0.05, 0.05], [0.35, 0.34, 0.31]])
    assert margins(probabilities) == pytest.approx([0.1, 0.85, 0.01])
    assert uncertain(probabilities, 2).tolist() == [2, 0]

"""Recall and average precision of nearest neighbours, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics import retrieval_metrics
from selftaught.evaluation.metrics.retrieval_metrics import Search, count_alike, search_classes
from selftaught.features.neighbours import Neighbours


def by_loops(
    asked: np.ndarray, asked_labels: np.ndarray, known: np.ndarray, labels: np.ndarray, *, own: bool, depth: int
) -> tuple[list[list[bool]], list[float]]:
    """Right or wrong down the ranking of every query, and its average precision."""
    rights, precisions = [], []
    for i, query in enumerate(asked):
        cosines = known @ query / np.linalg.norm(known, axis=1) / np.linalg.norm(query)
        order = [j for j in np.argsort(-cosines) if not (own and j == i)]
        right = [bool(labels[j] == asked_labels[i]) for j in order]
        shares = [sum(right[: r + 1]) / (r + 1) for r in range(min(depth, len(right))) if right[r]]
        rights.append(right)
        precisions.append(100 * sum(shares) / min(sum(right), depth))
    return rights, precisions


@pytest.mark.parametrize("own", [True, False], ids=["leave one out", "against others"])
@pytest.mark.parametrize("depth", [1000, 7])
def test_recall_and_map_equal_loops(own: bool, depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_metrics, "RESULTS", 200)  # several parts of queries
    rng = numpy_generator("retrieval")
    asked, labels = rng.normal(size=(30, 5)), rng.integers(0, 4, 30)
    known, known_labels = (asked, labels) if own else (rng.normal(size=(50, 5)), rng.integers(0, 4, 50))
    search = Search(
        queries=np.arange(30),
        query_labels=labels,
        sample_labels=known_labels,
        leave_one_out=own,
        depth=depth,
        listed=3,
    )
    found = search_classes(search, Neighbours(known.astype(np.float32)), asked)
    rights, precisions = by_loops(asked, labels, known, known_labels, own=own, depth=depth)
    for k, hits in found.recall.items():
        assert hits.tolist() == [100.0 * any(right[:k]) for right in rights]
    assert found.precision.tolist() == pytest.approx(precisions, rel=1e-5)
    assert found.rows.shape == (30, 3)
    assert (known_labels[found.rows] == labels[:, None]).tolist() == [right[:3] for right in rights]
    assert not own or (found.rows != np.arange(30)[:, None]).all()


def test_a_copy_of_the_query_is_found_but_never_the_query_itself() -> None:
    vectors = np.repeat(numpy_generator("copies").normal(size=(6, 4)), 2, axis=0)
    search = Search(
        queries=np.arange(12),
        query_labels=np.arange(12) // 2,
        sample_labels=np.arange(12) // 2,
        leave_one_out=True,
        depth=12,
        listed=1,
    )
    found = search_classes(search, Neighbours(vectors.astype(np.float32)), vectors)
    assert found.rows[:, 0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
    assert found.precision.tolist() == [100] * 12
    assert np.allclose(found.cosines, 1)


def test_counts_of_what_can_be_found() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    assert count_alike(labels, labels, leave_one_out=True).tolist() == [2, 2, 2, 0, 1, 1]
    assert count_alike(np.array([1, 3]), labels, leave_one_out=False).tolist() == [1, 0]

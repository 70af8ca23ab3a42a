from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics import retrieval_metrics
from selftaught.evaluation.metrics.retrieval_metrics import Search, count_alike, search_classes
from selftaught.evaluation.probes.retrieval import Retrieval
from selftaught.features import neighbours
from selftaught.features.neighbours import Neighbours
from tests.evaluation.drawn_classes import drawn_data, drawn_reader


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


def test_the_index_is_chosen_by_the_number_and_an_inverted_file_finds_nearly_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = numpy_generator("clusters")
    centres = rng.normal(size=(40, 16))
    vectors = (centres[rng.integers(0, 40, 3000)] + 0.3 * rng.normal(size=(3000, 16))).astype(np.float32)
    exact = Neighbours(vectors)
    assert exact.kind == "exact"
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 2999)
    chosen = Neighbours(vectors)
    assert chosen.kind == "ivf"
    (truth_cosines, truth), (cosines, rows) = (index.search(vectors[:100] * 3, 10) for index in (exact, chosen))
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth.tolist(), rows.tolist(), strict=True)])
    assert 0.95 < share <= 1
    assert np.allclose(truth_cosines[:, 0], 1, atol=1e-5)
    assert (np.diff(cosines, axis=1) <= 1e-6).all()
    again = Neighbours(vectors).search(vectors[:100], 10)[1]
    assert np.array_equal(again, rows)


@pytest.mark.parametrize("against", ["test", "train"])
def test_the_probe_reports_recall_map_and_a_gallery(against: Literal["test", "train"]) -> None:
    data = drawn_data(test=120)
    probe = Retrieval(Retrieval.Config(against=against, shown=3, neighbours=4, stage="all"))
    score = probe.score(drawn_reader(), data)
    recall = score.more["recall"][score.stage]
    assert score.value == recall["1"] <= recall["5"] <= recall["10"] <= 100
    assert score.outcomes is not None
    assert len(score.outcomes) == score.more["queries"] == 120
    low, high = score.more["map_intervals"][score.stage]
    assert low < score.more["map"][score.stage] < high
    assert score.more["map_depth"] == (119 if against == "test" else 240)
    assert probe.chance(data) == pytest.approx(100 * 29 / 119 if against == "test" else 25)
    assert score.value > (probe.chance(data) or 0) + 10
    searched = data.test if against == "test" else data.train
    assert data.test.labels is not None
    assert searched.labels is not None
    for shown in score.more["gallery"]:
        query = int(shown["query"].split("/")[1])
        assert shown["label"] == data.classes[data.test.labels[query]]
        assert len(shown["nearest"]) == 4
        similarities = [n["similarity"] for n in shown["nearest"]]
        assert similarities == sorted(similarities, reverse=True)
        for near in shown["nearest"]:
            row = int(near["key"].split("/")[1])
            assert near["key"] == f"{against}/{row}"
            assert near["key"] != shown["query"]
            assert near["label"] == data.classes[searched.labels[row]]
            assert near["right"] == (near["label"] == shown["label"])
    pictures = {s["picture"] for s in score.more["gallery"]}
    pictures |= {n["picture"] for s in score.more["gallery"] for n in s["nearest"]}
    assert pictures == set(score.files)
    assert Image.open(io.BytesIO(next(iter(score.files.values())))).size == (8, 8)


def test_the_gallery_shows_the_same_queries_of_every_encoder() -> None:
    data = drawn_data(test=60)
    first, second = (Retrieval(Retrieval.Config()).score(drawn_reader(seed=s), data) for s in (0, 1))
    assert [s["query"] for s in first.more["gallery"]] == [s["query"] for s in second.more["gallery"]]
    assert first.more["gallery"] != second.more["gallery"]


def test_queries_that_nothing_is_alike_are_left_out() -> None:
    data = drawn_data(test=40)
    data.test.labels = np.array([0] * 20 + [1] * 19 + [2])
    score = Retrieval(Retrieval.Config()).score(drawn_reader(), data)
    assert score.more["queries"] == 39
    data.test.labels = np.arange(40)
    with pytest.raises(ValueError, match="two test samples of one class"):
        Retrieval(Retrieval.Config()).score(drawn_reader(), data)


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"--probe.depth must be at least 1, got 0"):
        Retrieval.Config(depth=0)

"""The most similar vectors, by an exact index and by an inverted file."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.core.randomness import numpy_generator
from selftaught.features import neighbours
from selftaught.features.neighbours import Neighbours, unit_length


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


def test_the_exact_index_equals_sorting_by_cosine() -> None:
    rng = numpy_generator("exact")
    known, asked = (rng.normal(size=(n, 5)).astype(np.float32) for n in (30, 4))
    cosines, rows = Neighbours(known).search(7 * asked, 6)
    for query, found, near in zip(asked, cosines, rows, strict=True):
        expected = known @ query / np.linalg.norm(known, axis=1) / np.linalg.norm(query)
        assert near.tolist() == np.argsort(-expected)[:6].tolist()
        assert np.allclose(found, np.sort(expected)[::-1][:6], atol=1e-5)


def test_a_vector_of_length_0_stays() -> None:
    found = unit_length(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    assert np.allclose(found, [[0.6, 0.8], [0.0, 0.0]])

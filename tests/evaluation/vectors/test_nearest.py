"""The most similar vectors of a folder: exact ones equal all cosines, those of the index nearly always too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.evaluation.vectors import nearest
from selftaught.evaluation.vectors.folder import VectorFolder
from selftaught.evaluation.vectors.nearest import INDEX, best_of, code_bytes, most_similar, open_index
from tests.evaluation.vectors.small_subject import clustered, write_vectors


def cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(rows @ (query[0] / np.linalg.norm(query[0])))


def test_all_are_compared_where_there_are_few(tmp_path: Path) -> None:
    vectors = clustered(700, 8)
    folder = write_vectors(tmp_path, vectors, each=300)
    query = clustered(1, 8, seed=1)
    values = cosines(vectors, query)
    best = np.argsort(-values)[:5]
    found = most_similar(folder, query, 5)
    assert [number for number, _ in found] == best.tolist()
    assert [value for _, value in found] == pytest.approx(values[best].tolist(), abs=1e-5)
    assert not (tmp_path / INDEX).exists()


def test_of_equal_ones_the_first_is_first_and_all_can_be_asked_for(tmp_path: Path) -> None:
    folder = write_vectors(tmp_path, np.ones((7, 4), np.float32), each=2)
    assert best_of(folder, lambda vectors: vectors[:, 0], 3) == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert len(best_of(folder, lambda vectors: vectors[:, 0], 7)) == 7


@pytest.mark.parametrize("width", [32, 7])
def test_an_index_finds_them_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    vectors = clustered(1500, width)
    folder = write_vectors(tmp_path, vectors, each=700)
    monkeypatch.setattr(nearest, "EXACT_UP_TO", 1000)
    hits = 0
    for seed in range(20):
        query = clustered(1, width, seed=seed)
        found = most_similar(folder, query, 5)
        exact = most_similar(folder, query, 5, exact=True)
        values = cosines(vectors, query)
        assert all(value == pytest.approx(values[number], abs=1e-5) for number, value in found)  # compared again
        hits += len({number for number, _ in found} & {number for number, _ in exact})
    assert hits >= 95
    written = (tmp_path / INDEX).stat().st_mtime_ns
    most_similar(VectorFolder(tmp_path), query, 5)
    assert (tmp_path / INDEX).stat().st_mtime_ns == written
    assert INDEX in (tmp_path / ".selftaught").read_text()
    other = write_vectors(tmp_path / "other", clustered(10, width), each=10)
    (tmp_path / INDEX).rename(tmp_path / "other" / INDEX)
    with pytest.raises(ValueError, match=r"is not the index of the vectors beside it; remove it"):
        open_index(other)


def test_codes_divide_the_vectors() -> None:
    assert [code_bytes(width) for width in (2048, 512, 384, 128, 96, 7)] == [64, 64, 64, 32, 24, 1]

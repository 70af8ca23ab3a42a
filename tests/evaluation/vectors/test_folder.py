"""A folder of vectors: what is written is read back by number, whatever the files; what is missing is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from selftaught.evaluation.vectors.folder import FACTS, ROWS, VectorFolder, file_name, is_vector_folder, read_facts
from tests.evaluation.vectors.small_subject import clustered, write_vectors


def test_vectors_are_read_by_their_numbers(tmp_path: Path) -> None:
    vectors = clustered(2 * ROWS + 500, 6)
    folder = write_vectors(tmp_path / "v", vectors, each=ROWS + 200)
    assert len(folder) == len(vectors)
    assert folder.starts.tolist() == [0, ROWS + 200, 2 * ROWS + 400, 2 * ROWS + 500]
    found = [(start, block) for start, block in folder.blocks(300)]
    assert np.array_equal(np.concatenate([block for _, block in found]), vectors)
    assert all(np.array_equal(block, vectors[start : start + len(block)]) for start, block in found)
    numbers = np.array([2 * ROWS + 450, 3, ROWS + 1, ROWS + 200, 3])
    part = folder.take(numbers)
    assert np.array_equal(part.vectors, vectors[numbers])
    assert list(part.keys) == [f"{number}.png" for number in numbers]
    assert list(part.labels) == [None if number % 3 else "third" for number in numbers]
    assert folder.skipped == [("broken.png", "it is empty")]
    assert pq.read_table(tmp_path / "v").column_names == ["path", "label", "vector"]  # as one data set


def test_a_folder_says_what_its_vectors_are_of(tmp_path: Path) -> None:
    folder = write_vectors(tmp_path / "v", clustered(5, 3), each=2)
    assert is_vector_folder(tmp_path / "v")
    assert not is_vector_folder(tmp_path)
    facts = folder.facts
    assert (facts.shards, facts.features, facts.shard_size) == (3, 3, 2)
    assert facts.differs(replace(facts, run="elsewhere", data="moved")) == ""
    assert facts.differs(replace(facts, content="d")) == "other data, or data that have changed"
    assert facts.differs(replace(facts, weights="x", content="d")) == "other weights"
    (tmp_path / "v" / file_name(1)).unlink()
    with pytest.raises(ValueError, match=r"v lacks 1 of 3 files of vectors; the embed command that began it goes on"):
        VectorFolder(tmp_path / "v")
    (tmp_path / "v" / FACTS).write_text(json.dumps({"run": 3}))
    with pytest.raises(ValueError, match=r"_features\.json lacks what embed writes; embed the data again"):
        read_facts(tmp_path / "v")

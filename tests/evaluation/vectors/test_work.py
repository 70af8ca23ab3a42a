"""Shards of samples: the same vectors by files, by tars and in one piece; what cannot be asked for is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.embed import embed_data
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.evaluation.vectors.work import Packed, Tars, open_work
from tests.data.tar_shards import write_shards
from tests.evaluation.vectors.small_subject import write_images, write_weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return open_subject(write_weights(tmp_path_factory.mktemp("w") / "w.safetensors"), size=32)


def work(subject: Subject, data: Path, **asked: Any) -> Any:
    return open_work(subject, DataSettings(path=str(data)), **asked)


def test_shards_are_what_one_file_has(subject: Subject, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 20)
    (data / "a" / "broken.png").write_bytes(b"no image")
    found = work(subject, data, shard_size=8)
    parts = [found.shard(number, CPU) for number in range(len(found))]
    assert sum(len(part.keys) for part in parts) == 20
    assert max(len(part.keys) for part in parts) == 8
    embed_data(subject, str(data), tmp_path / "f.npz")
    kept = np.load(tmp_path / "f.npz")
    vectors = {key: row for part in parts for key, row in zip(part.keys, part.vectors, strict=True)}
    assert all(np.allclose(vectors[key], row, atol=1e-5) for key, row in zip(kept["path"], kept["vector"], strict=True))
    labels = {key: label for part in parts for key, label in zip(part.keys, part.labels, strict=True)}
    assert all(label == key[0] for key, label in labels.items())
    assert [key for part in parts for key, _ in part.skipped] == ["a/broken.png"]
    content = found.content
    (data / "a" / "0.png").write_bytes((data / "b" / "1.png").read_bytes())
    assert work(subject, data).content != content


def test_tars_that_are_read_in_order_give_what_packed_ones_do(subject: Subject, tmp_path: Path) -> None:
    write_shards(tmp_path, [5, 0, 4], broken=[1])
    streamed, packed = (work(subject, tmp_path, stream=stream) for stream in ("always", "never"))
    assert isinstance(streamed, Tars)
    assert isinstance(packed, Packed)
    parts = [streamed.shard(number, CPU) for number in range(len(streamed))]
    assert [len(part.keys) for part in parts] == [4, 0, 4]
    assert parts[0].keys[1] == "s-000.tar/000002.jpg"
    assert [key for part in parts for key, _ in part.skipped] == ["s-000.tar/000001.jpg"]
    whole = {key.rpartition("/")[2]: row for n in range(len(packed)) for key, row in _rows(packed.shard(n, CPU))}
    for key, row in (pair for part in parts for pair in _rows(part)):
        assert np.allclose(whole[key.rpartition("/")[2]], row, atol=1e-4)
    assert dict(streamed.images(2)).keys() == {f"s-002.tar/{number:06d}.jpg" for number in (5, 6, 7, 8)}


def _rows(part: Any) -> Any:
    return zip(part.keys, part.vectors, strict=True)


def test_what_cannot_be_is_said(subject: Subject, tmp_path: Path) -> None:
    write_images(tmp_path / "data", 4)
    write_shards(tmp_path / "tars", [2, 2])
    for data, asked, told in (
        ("data", {"shard_size": 0}, "--shard-size must be at least 1, got 0"),
        ("data", {"stream": "always"}, "--stream always reads tar shards, and .*data is none; leave it out"),
        ("tars", {"stream": "always", "shard_size": 3}, "--shard-size 3 is for data that are packed, and the tars of"),
        ("data", {"split": "val"}, "--split must be one of train, held_out, test or all, got 'val'"),
    ):
        with pytest.raises(ValueError, match=told):
            work(subject, tmp_path / data, **asked)

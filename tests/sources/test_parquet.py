"""Parquet: bytes or {bytes, path}, labels as numbers or texts, splits by the names of the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.decode import Unreadable, decode_image
from selftaught.sources import open_source
from selftaught.sources.base import Source

LABELLED = frozenset({"image", "label"})


def write(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata) if metadata else table, path, row_group_size=5)
    return path


def opened(path: Path, split: str = "train", needs: frozenset[str] = frozenset({"image"})) -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=0.25)


def test_cifar10(shared_data: Callable[[str], Path]) -> None:
    train, test = (opened(shared_data("cifar10"), split, LABELLED) for split in ("train", "held_out"))
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.classes == test.classes
    assert train.classes is not None
    assert train.classes[9] == "truck"
    for i in (0, 4_999, 5_000, 49_999):
        payload = train.read(i)
        assert isinstance(payload, bytes)
        assert decode_image(payload).shape == (32, 32, 3)


def test_streaming_and_single_rows_agree(tmp_path: Path, photos: list[bytes]) -> None:
    path = write(tmp_path / "a.parquet", {"image": photos, "label": [i % 2 for i in range(24)]})
    source = opened(path)
    assert 0 < len(source) < 24
    in_order = list(source.iterate())
    assert [i for i, _ in in_order] == list(range(len(source)))
    assert [payload for _, payload in in_order] == [source.read(i) for i in range(len(source))]
    assert [payload for _, payload in in_order] == [photos[int(e.key.split(":")[1])] for e in source.entries]


def test_images_as_bytes_and_path(tmp_path: Path, photos: list[bytes]) -> None:
    (tmp_path / "there.jpg").write_bytes(photos[1])
    cells = [
        {"bytes": photos[0], "path": "x.jpg"},
        {"bytes": None, "path": "../there.jpg"},
        {"bytes": None, "path": None},
        {"bytes": None, "path": "gone.jpg"},
    ]
    (tmp_path / "rows").mkdir()
    write(tmp_path / "rows" / "train.parquet", {"img": cells})
    write(tmp_path / "rows" / "test.parquet", {"img": cells[:1]})
    source = opened(tmp_path / "rows")
    assert [source.read(0), source.read(1)] == photos[:2]
    with pytest.raises(Unreadable, match="no picture"):
        source.read(2)
    with pytest.raises(FileNotFoundError):
        source.read(3)
    assert [type(payload) for _, payload in source.iterate()] == [bytes, bytes, Unreadable, FileNotFoundError]


def test_labels_as_texts_are_numbered_over_all_splits(tmp_path: Path, photos: list[bytes]) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", {"image": photos[:3], "label": ["dog", "cat", None]})
    write(tmp_path / "validation-00000-of-00001.parquet", {"image": photos[:2], "label": ["ant", "dog"]})
    train, val = opened(tmp_path, needs=LABELLED), opened(tmp_path, "held_out", LABELLED)
    assert train.classes == val.classes == ("ant", "cat", "dog")
    assert [e.label for e in train.entries] == [2, 1, None]
    assert [e.label for e in val.entries] == [0, 2]


@pytest.mark.parametrize(
    "metadata",
    [
        {"class_names": "cat, dog"},
        {"class_names": '["cat", "dog"]'},
        {
            "huggingface": json.dumps(
                {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
            )
        },
    ],
)
def test_class_names_of_the_metadata(tmp_path: Path, photos: list[bytes], metadata: dict[str, str]) -> None:
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [1, 0, -1, 1]}, metadata)
    assert opened(tmp_path / "a.parquet").classes == ("cat", "dog")


def test_errors_are_one_sentence(tmp_path: Path, photos: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"no column 'image' .*only name, size"):
        opened(write(tmp_path / "a.parquet", {"name": ["a"], "size": [1]}))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match="not whole Parquet"):
        opened(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="labels are needed"):
        opened(write(tmp_path / "c.parquet", {"image": photos}), needs=LABELLED)

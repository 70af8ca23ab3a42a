"""Folders that the package datasets saved, written here by pyarrow alone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

LABELLED = frozenset({"image", "label"})
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["tench", "church"], "_type": "ClassLabel"},
}


def save(path: Path, columns: dict[str, Any], *, rows_at_once: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    table = pa.table(columns).replace_schema_metadata(told)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_at_once)
    (path.parent / "state.json").write_text(json.dumps({"_data_files": [{"filename": path.name}]}))
    (path.parent / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return path


def cells(photos: list[bytes]) -> list[dict[str, Any]]:
    return [{"bytes": photo, "path": None} for photo in photos]


def opened(path: Path, split: str = "train", needs: frozenset[str] = LABELLED) -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=0.25)


def test_a_saved_dictionary_of_data_sets(tmp_path: Path, photos: list[bytes]) -> None:
    for part, chosen in (("train", range(16)), ("test", range(16, 24))):
        columns = {"image": cells([photos[i] for i in chosen]), "label": [i % 2 for i in chosen]}
        save(tmp_path / "saved" / part / "data-00000-of-00001.arrow", columns)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    save(tmp_path / "saved" / "train" / "cache-0123.arrow", {"image": cells(photos)})
    train, test = opened(tmp_path / "saved"), opened(tmp_path / "saved", "held_out")
    assert (len(train), len(test), test.part) == (16, 8, "test")
    assert train.classes == ("tench", "church")
    assert [entry.label for entry in train.entries] == [0, 1] * 8
    assert [test.read(i) for i in range(8)] == photos[16:]
    assert train.read(7) == photos[7]
    assert train.fingerprint != test.fingerprint


def test_a_saved_data_set_without_splits(tmp_path: Path, photos: list[bytes]) -> None:
    save(tmp_path / "saved" / "data-00000-of-00002.arrow", {"image": cells(photos[:12])})
    save(tmp_path / "saved" / "data-00001-of-00002.arrow", {"image": cells(photos[12:])})
    for data in (tmp_path / "saved", tmp_path / "saved" / "data-00000-of-00002.arrow"):
        train, test = (opened(data, split, frozenset({"image"})) for split in ("train", "held_out"))
        assert len(train) + len(test) == (24 if data.is_dir() else 12)
    with pytest.raises(ValueError, match=r"labels are needed.*column label"):
        opened(tmp_path / "saved")


def test_damaged_files(tmp_path: Path, photos: list[bytes]) -> None:
    path = save(tmp_path / "data-0.arrow", {"image": cells(photos), "label": [0, 1] * 12})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = opened(path)
    assert 0 < len(source) < 24
    assert "damaged after" in source.skipped[0][1]
    assert source.notes
    path.write_bytes(b"nothing of the kind" * 50)
    with pytest.raises(ValueError, match="is not whole Arrow"):
        opened(path)
    save(path, {"name": ["a"]})
    with pytest.raises(ValueError, match="has no column 'image'"):
        opened(path)


def test_bits_that_flip(tmp_path: Path, photos: list[bytes]) -> None:
    path = save(tmp_path / "data-0.arrow", {"image": cells(photos[:6]), "label": [0, 1] * 3})
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(min(len(whole), 3000))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            source = opened(path, needs=frozenset({"image"}))
        except ValueError as refused:
            told = str(refused)
            assert len(told) < 500, told
            continue
        for _, payload in source.iterate():
            assert isinstance(payload, bytes | Unreadable | OSError)

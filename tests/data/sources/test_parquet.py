"""Parquet: bytes or {bytes, path}, labels as numbers or texts, splits by the names of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_tree import Unreadable
from tests.data.sources.opening import LABELLED, opened
from tests.data.sources.rows import write


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
    with pytest.raises(Unreadable, match="no image"):
        source.read(2)
    with pytest.raises(FileNotFoundError):
        source.read(3)
    assert [type(payload) for _, payload in source.iterate()] == [bytes, bytes, Unreadable, FileNotFoundError]


def test_errors_are_one_sentence(tmp_path: Path, photos: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"no column 'image' .*only name, size"):
        opened(write(tmp_path / "a.parquet", {"name": ["a"], "size": [1]}))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match="not whole Parquet"):
        opened(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="labels are needed"):
        opened(write(tmp_path / "c.parquet", {"image": photos}), needs=LABELLED)


def test_a_damaged_file_among_good_ones_is_left_out_and_named(tmp_path: Path, photos: list[bytes]) -> None:
    for i in range(4):
        write(tmp_path / f"train-{i}.parquet", {"image": photos[4 * i : 4 * i + 4], "label": [0, 1, 0, 1]})
    damaged = tmp_path / "train-3.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    write(tmp_path / "train-4.parquet", {"name": ["a"]})
    source = opened(tmp_path, needs=LABELLED)
    other = opened(tmp_path, "held_out", LABELLED)
    assert len(source) + len(other) == 12
    assert [key for key, _ in source.skipped] == ["train-3.parquet", "train-4.parquet"]
    assert source.skipped[0][1].startswith("not whole Parquet")
    assert source.notes == other.notes
    assert "2 of 5 Parquet files" in source.notes[0]
    for i in range(3):
        (tmp_path / f"train-{i}.parquet").unlink()
    with pytest.raises(ValueError, match=r"train-3\.parquet: not whole Parquet"):
        opened(tmp_path)

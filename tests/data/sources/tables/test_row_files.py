"""Files of rows as one data set: keys, splits and classes over all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.sources.tables.row_files import RowFile, Rows, choose_rows
from tests.data.sources.opening import LABELLED, opened
from tests.data.sources.rows import write


def test_labels_as_texts_are_numbered_over_all_splits(tmp_path: Path, photos: list[bytes]) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", {"image": photos[:3], "label": ["dog", "cat", None]})
    write(tmp_path / "validation-00000-of-00001.parquet", {"image": photos[:2], "label": ["ant", "dog"]})
    train, val = opened(tmp_path, needs=LABELLED), opened(tmp_path, "held_out", LABELLED)
    assert train.classes == val.classes == ("ant", "cat", "dog")
    assert [e.label for e in train.entries] == [2, 1, None]
    assert [e.label for e in val.entries] == [0, 2]


def test_a_column_of_splits_goes_before_names(tmp_path: Path, photos: list[bytes]) -> None:
    splits = ["train"] * 5 + ["test"] * 3 + [None]
    path = write(tmp_path / "train.parquet", {"image": photos[:9], "label": [0, 1] * 4 + [0], "split": splits})
    train, test = opened(path, needs=LABELLED), opened(path, "held_out", LABELLED)
    assert [e.key for e in train.entries] == [f"train.parquet:{i}" for i in range(5)]
    assert [e.key for e in test.entries] == [f"train.parquet:{i}" for i in range(5, 8)]
    assert test.part == "test"
    odd = opened(write(tmp_path / "odd.parquet", {"image": photos[:4], "split": ["a", "b", "a", "b"]}))
    assert "names no train part" in odd.notes[0]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train/0000.parquet", "val/0000.parquet"),
        ("data/train-00000-of-00002.parquet", "data/validation-00000-of-00001.parquet"),
        ("data/train/0.parquet", "data/test/0.parquet"),
        ("cats_training.parquet", "cats_test.parquet"),
    ],
)
def test_splits_of_folders_and_file_names(tmp_path: Path, photos: list[bytes], train: str, val: str) -> None:
    for name, chosen in ((train, photos[:8]), (val, photos[8:12])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, {"image": chosen, "label": [0, 1] * (len(chosen) // 2)})
    first, second = opened(tmp_path, needs=LABELLED), opened(tmp_path, "held_out", LABELLED)
    assert (len(first), len(second)) == (8, 4)
    assert len({e.key for e in (*first.entries, *second.entries)}) == 12
    assert [second.read(i) for i in range(4)] == photos[8:12]


def test_files_that_differ(tmp_path: Path, photos: list[bytes]) -> None:
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]})
    write(tmp_path / "b.parquet", {"img": photos[4:8]})
    source, other = (opened(tmp_path, split, LABELLED) for split in ("train", "held_out"))
    found = {e.key: e.label for e in (*source.entries, *other.entries)}
    assert len(found) == 8
    assert [found[f"b.parquet:{i}"] for i in range(4)] == [None] * 4
    assert source.notes == ["1 of 2 files have no labels, such as b.parquet"]
    write(tmp_path / "c.parquet", {"image": photos[:4], "label": ["x", "y", "x", "y"]})
    with pytest.raises(ValueError, match=r"numbers in a\.parquet but texts in c\.parquet"):
        opened(tmp_path, needs=LABELLED)
    names = {"class_names": "cat, dog"}, {"class_names": "dog, cat"}
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]}, names[0])
    write(tmp_path / "c.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]}, names[1])
    with pytest.raises(ValueError, match=r"c\.parquet of .* numbers its classes otherwise than a\.parquet"):
        opened(tmp_path, needs=LABELLED)


def chosen(files: list[RowFile], split: str = "train", needs: frozenset[str] = LABELLED) -> Rows:
    return choose_rows(
        files, lambda name, row: f"{name}:{row}", split=split, needs=needs, seed=0, held_out=0.0, where="data"
    )


def test_rows_keep_their_place_and_the_class_of_all_files() -> None:
    files = [RowFile("a", 2, labels=["dog", None], part="train"), RowFile("b", 2, labels=["ant", "dog"], part="val")]
    train = chosen(files)
    assert [(entry.key, entry.label) for entry in train.entries] == [("a:0", 1), ("a:1", None)]
    assert train.places == [(0, 0), (0, 1)]
    assert train.classes == ("ant", "dog")
    held_out = chosen(files, "held_out")
    assert (held_out.places, held_out.part) == ([(1, 0), (1, 1)], "val")


def test_nothing_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^data has no rows$"):
        chosen([RowFile("a", 0)])
    with pytest.raises(ValueError, match=r"--held-out is 0.0, so there is no held-out part"):
        chosen([RowFile("a", 2)], "held_out")


def test_lists_of_labels_give_targets() -> None:
    found = chosen([RowFile("a", 3, labels=[["x", "y"], ["y"], None])])
    assert found.targets is not None
    assert found.targets.tolist() == [[1, 1], [0, 1], [-1, -1]]
    assert found.classes == ("x", "y")

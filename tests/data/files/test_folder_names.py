"""Splits and classes that folders name, and what is said where they could be read in another way."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.files.folder_names import read_folder_names
from selftaught.data.sources.open import open_source

CLASSES = ("church", "tench")


def files(*folders: str) -> list[str]:
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(3)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_images", "val_images"),
        ("images/train", "images/test"),
        ("my_training", "TEST_DIR"),
        ("Train", "Validation-2"),
    ],
)
def test_classes_are_in_the_folders_of_splits(train: str, test: str) -> None:
    keys = files(*(f"{part}/{name}" for part in (train, test) for name in CLASSES))
    read = read_folder_names(keys)
    assert set(read.labels.values()) == set(CLASSES)
    assert [read.splits[key] == "train" for key in keys] == [True] * 6 + [False] * 6
    assert read.labels[keys[0]] == "church"
    assert not read.wrong
    assert len(read.notes) == (train not in ("images/train", "Train"))


def test_classes_above_the_folders_of_splits() -> None:
    read = read_folder_names(files("cat/train", "cat/test", "dog/train", "dog/test"))
    assert read.labels["cat/test/1.jpg"] == "cat"
    assert read.splits["dog/test/0.jpg"] == "test"


def test_class_names_that_look_like_splits_stay_classes() -> None:
    read = read_folder_names(files("bullet_train", "car", "train_station", "test_tube"))
    assert set(read.labels.values()) == {"bullet_train", "car", "train_station", "test_tube"}
    assert not read.splits
    assert not read.class_notes
    read = read_folder_names(files("car", "train", "bus"))
    assert set(read.labels.values()) == {"car", "train", "bus"}
    assert read.class_notes == (
        "the folders bus, car, train are read as classes, although some are named as parts of the data are",
    )


def test_what_is_not_read_is_reported() -> None:
    read = read_folder_names([*files("a/x", "b"), "cover.jpg"])
    assert read.class_notes == (
        "classes are the folders a, b; folders in them, such as a/x, are not",
        "1 of the files are next to the class folders (a, b) and have no class",
    )
    read = read_folder_names(files("train/a", "train/b", "val/a", "val/b", "test/a", "test/b", "extra/c"))
    assert "extra/c/0.jpg" not in read.splits
    assert read.notes == (
        "the data have a val and a test part: val is held out from training, probes are measured on test",
    )


@pytest.mark.parametrize("folders", [("train_cats", "test_cats", "train_dogs", "test_dogs"), ("test", "val")])
def test_classes_that_are_parts_are_refused(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for key in files(*folders):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{min(folders)}.* would be the classes.*name the parts train and test"):
        open_source(str(tmp_path), split="train", needs=frozenset({"image", "label"}))
    source = open_source(str(tmp_path), split="train", needs=frozenset({"image"}))
    assert [f"the folders {', '.join(sorted(folders))} were not taken for parts of the data"] == list(source.notes)


def test_parts_and_files_in_none_are_reported_by_the_source(tmp_path: Path) -> None:
    for key in files("training_set/a", "training_set/b", "test_set/a", "test_set/b", "notes"):
        (tmp_path / key).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / key).write_bytes(b"")
    source = open_source(str(tmp_path), split="test", needs=frozenset({"image", "label"}))
    assert source.part == "test"
    assert source.classes == ("a", "b")
    assert len(source) == 6
    assert list(source.notes) == [
        "folders were read as parts of the data by words in their names: test_set is test, training_set is train",
        "3 of 15 files belong to no part of the data (such as notes/0.jpg)",
    ]

"""Splits by words in the names of siblings, and classes that only look like them."""

from __future__ import annotations

import pytest

from selftaught.data.files.split_words import have_split_words, must_be_splits, sibling_splits, told_splits


@pytest.mark.parametrize(
    "names",
    [
        "training_set test_set",
        "seg_train seg_test",
        "train_images val_images",
        "train_data test_data",
        "imagewoof-train imagewoof-val",
        "train_fold0 val_fold0 test_fold1",
        "train-set val-2",
        "Train Test",
        "TRAIN_DIR TEST_DIR",
        "my_training my_validation",
        "trainImages testImages",
        "trainset testset",
        "unlabeled_data test_images",
        "train val test_images",
        "ILSVRC2012_img_train ILSVRC2012_img_val",
        "cifar-train-00000-of-00002 cifar-train-00001-of-00002 cifar-test-00000-of-00001",
    ],
)
def test_words_of_splits(names: str) -> None:
    found = sibling_splits(names.split())
    assert set(found) == set(names.split())
    for name, part in found.items():
        lower = name.lower()
        word = (
            "train" if "train" in lower else "unlabelled" if "unlabel" in lower else "val" if "val" in lower else "test"
        )
        assert part == word


@pytest.mark.parametrize(
    "names",
    [
        "trainer testudo contest",
        "train-station bullet-train airport",
        "bullet_train test_tube",
        "dev_board train_station",
        "training_set",
        "test_set val_set",
        "car bus toy_train toy_test boat",
        "train car bus",
        "validity trained",
    ],
)
def test_classes_that_only_look_like_splits(names: str) -> None:
    assert sibling_splits(names.split()) == {}


def test_the_rest_of_names_or_the_folders_in_them_must_agree() -> None:
    names = ["train_summer", "test_winter"]
    assert sibling_splits(names, dict.fromkeys(names, ("cat", "dog"))) == {
        "train_summer": "train",
        "test_winter": "test",
    }
    assert sibling_splits(names, {"train_summer": ("cat", "dog"), "test_winter": ("map", "key")}) == {}
    assert have_split_words(names)
    assert not must_be_splits(names)
    assert must_be_splits(["train_cats", "test_cats", "train_dogs", "test_dogs"])
    assert not must_be_splits(["train", "car"])


def test_exact_names_take_those_by_words_with_them_and_leave_others() -> None:
    assert sibling_splits(["train", "val", "extra"]) == {"train": "train", "val": "val"}
    assert sibling_splits(["train", "test", "train_masks"]) == {"train": "train", "test": "test"}


def test_what_was_read_by_words_is_reported() -> None:
    assert told_splits({"train": "train", "val2017": "val"}) == ""
    told = told_splits({"training_set": "train", "test_set": "test"})
    assert (
        told
        == "folders were read as parts of the data by words in their names: test_set is test, training_set is train"
    )
    many = sibling_splits([*(f"part-train{i}" for i in range(9)), "part-test"])
    assert told_splits(many, "files").endswith("part-train4 is train and 4 more")

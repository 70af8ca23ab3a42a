"""Short names of shards, and the splits that they tell."""

from __future__ import annotations

import pytest

from selftaught.data.files.shard_names import shard_splits, short_names


@pytest.mark.parametrize(
    ("shards", "names"),
    [
        (["/data/a/0.tar", "/data/a/1.tar"], ["0.tar", "1.tar"]),
        (["/data/a/0.tar", "/data/b/0.tar"], ["a/0.tar", "b/0.tar"]),
        (["https://host/x/0.tar", "https://host/x/1.tar"], ["0.tar", "1.tar"]),
        (["/data/a/0.tar"], ["0.tar"]),
        (["a/b/c.tar", "a/c.tar"], ["b/c.tar", "c.tar"]),
    ],
)
def test_names_are_relative_to_the_folder_that_all_are_in(shards: list[str], names: list[str]) -> None:
    assert short_names(shards) == names


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train/000.tar", "val/000.tar"], ["train", "val"]),
        (["train-00000-of-00002.parquet", "validation-00000-of-00001.parquet"], ["train", "val"]),
        (["food_training_0.tar", "food_test_0.tar"], ["train", "test"]),
        (["train/test_0.tar", "val/test_1.tar"], ["train", "val"]),  # folders go before names
        (["0.tar", "1.tar"], ["", ""]),
    ],
)
def test_splits_are_those_of_folders_or_else_of_names(names: list[str], splits: list[str]) -> None:
    assert shard_splits(names) == splits

"""Shards of one data set: short unique names, and the split of each from its folder or file name."""

from __future__ import annotations

from collections.abc import Sequence

from selftaught.data.files.folder_names import read_folder_names
from selftaught.data.files.split_words import sibling_splits


def short_names(shards: Sequence[str]) -> list[str]:
    """Paths or URLs relative to the folder that all are in; unique as long as `shards` are."""
    parts = [shard.split("/") for shard in shards]
    shared = 0
    while all(len(steps) > shared + 1 and steps[shared] == parts[0][shared] for steps in parts):
        shared += 1
    return ["/".join(steps[shared:]) for steps in parts]


def shard_splits(names: Sequence[str]) -> list[str]:
    """The split of each shard by its short name, "" for none; folders take precedence over the file name.

    `train/000.tar` and `val/000.tar`, `data/train-00000-of-00002.parquet`, `food_training_0.tar` and `food_test_0.tar`.
    """
    by_folder = read_folder_names(names).splits
    if by_folder:
        return [by_folder.get(name, "") for name in names]
    stems = [name.rpartition("/")[2].partition(".")[0] for name in names]
    found = sibling_splits(set(stems))
    return [found.get(stem, "") for stem in stems]

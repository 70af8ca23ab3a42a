"""Which folder of maps goes with which folder of images."""

from __future__ import annotations

import re

from selftaught.data.annotations.paired_folders import Pairs, find_pairs


def found(*keys: str) -> Pairs:
    return find_pairs(keys, folders=re.compile("masks?$"), ends=re.compile("_masks?$"), file_ends=re.compile("_mask$"))


def test_maps_are_paired_by_name_below_both_folders() -> None:
    pairs = found("x/images/a/1.jpg", "x/images/a/2.jpg", "x/masks/a/1_mask.png", "x/masks/a/2.png")
    assert pairs.pairs == {"x/images/a/1.jpg": "x/masks/a/1_mask.png", "x/images/a/2.jpg": "x/masks/a/2.png"}
    assert (pairs.folders, pairs.images) == (("x/masks/",), ("x/images/",))
    assert pairs.holds("x/masks/b/3.png")
    assert not pairs.holds("x/images/a/1.jpg")


def test_the_folder_of_the_same_name_goes_before_one_named_as_images_are() -> None:
    assert found("train/1.jpg", "images/1.jpg", "train_masks/1.png").pairs == {"train/1.jpg": "train_masks/1.png"}


def test_folders_that_share_few_names_are_no_pair() -> None:
    assert not found("images/1.jpg", "images/2.jpg", "images/3.jpg", "masks/1.png", "masks/8.png", "masks/9.png").pairs
    assert not found("cats/1.jpg", "masks/1.png").pairs
    assert not found("images/1.jpg").pairs

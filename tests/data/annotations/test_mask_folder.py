"""Folders of masks: which folders they are, what their numbers and colours mean, and that they are no photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.annotations.mask_folder import find_masks, parse_classes
from selftaught.data.sources.open import open_source
from selftaught.evaluation.data.dense import open_dense
from tests.data.trees import picture, text, write

MASKS, IMAGES = frozenset({"mask"}), frozenset({"image"})


def tree(root: Path, pictures: str = "images/{part}/{n}.jpg", masks: str = "masks/{part}/{n}.png") -> Path:
    for part in ("train", "val"):
        for n in range(3):
            write(root / pictures.format(part=part, n=n), picture(n))
            mask = np.full((30, 40), 3 if n else 0, np.uint8)
            mask[:5], mask[10:] = 7, 255
            write(root / masks.format(part=part, n=n), mask)
    text(root / "classes.txt", "0\tSky\n3\tRoad\n7\tUnlabelled\n")
    return root


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [
        ("images/{part}/{n}.jpg", "masks/{part}/{n}.png"),
        ("{part}/img/{n}.png", "{part}/labels/{n}.png"),
        ("{part}/{n}.png", "{part}annot/{n}.png"),
        ("{part}/a_{n}.png", "{part}_labels/a_{n}_L.png"),
        ("data/images/{part}/{n}.png", "data/annotations/{part}/{n}.png"),
    ],
)
def test_pairs_are_found_in_the_usual_layouts(tmp_path: Path, pictures: str, masks: str) -> None:
    root = tree(tmp_path, pictures, masks)
    data = open_dense(str(root), needs=MASKS)
    assert data.classes == ("Sky", "Road")
    assert (len(data.train), len(data.test)) == (3, 3)
    assert data.test_is == "the data's own val part"
    mask = data.train.read(1).mask
    assert mask is not None
    assert (mask[7] == 1).all()
    assert (mask[:5] == 255).all()  # a class named unlabelled
    assert (mask[10:] == 255).all()
    for split in ("train", "held_out"):
        plain = open_source(str(root), split=split, needs=IMAGES)
        assert [entry.key for entry in plain.entries] == (data.train.keys if split == "train" else data.test.keys)
        assert plain.classes is None


def test_folders_that_only_sound_like_masks_are_photographs() -> None:
    faces = [f"{kind}/{n}.jpg" for kind in ("with_mask", "without_mask", "masks") for n in range(4)]
    assert not find_masks(faces).pairs
    shifted = [f"images/{n}.jpg" for n in range(4)] + [f"masks/other{n}.png" for n in range(4)]
    assert not find_masks(shifted).pairs


def test_a_few_absent_masks_do_not_hide_the_others(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "masks/train/1.png").unlink()
    assert len(open_source(str(root), split="train", needs=IMAGES)) == 3
    with pytest.raises(ValueError, match=r"images/train/1.jpg has no mask in masks/.*--skip-broken"):
        open_dense(str(root), needs=MASKS)
    data = open_dense(str(root), needs=MASKS, skip_broken=True)
    assert len(data.train) == 2
    assert data.train.skipped == [("images/train/1.jpg", "images/train/1.jpg has no mask in masks/")]


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_that_cannot_be_used_is_drawn_from_the_other(tmp_path: Path, part: str) -> None:
    root = tree(tmp_path)
    for n in range(3):
        (root / "images" / part / f"{n}.jpg").write_bytes(b"broken")
    data = open_dense(str(root), needs=MASKS, skip_broken=True)
    assert (len(data.train), len(data.test)) == (2, 1)
    other = "val" if part == "train" else "train"
    assert {*data.train.keys, *data.test.keys} == {f"images/{other}/{n}.jpg" for n in range(3)}
    assert len(data.train.skipped) + len(data.test.skipped) == 3
    name = "train" if part == "train" else "test"
    assert data.notes == (f"no image of the {name} part can be used; 1 of the others are held out instead",)
    assert "own val part" not in data.test_is


def test_unknown_classes_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write(root / "masks/train/2.png", np.full((30, 40), 4, np.uint8))
    with pytest.raises(ValueError, match=r"masks/train/2.png holds the class 4, which classes.txt does not name"):
        open_dense(str(root), needs=MASKS).train.read(2)
    assert len(open_dense(str(root), needs=MASKS, skip_broken=True).train) == 2
    (root / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"no list of their classes; add a classes.txt"):
        open_dense(str(root), needs=MASKS)


def test_masks_in_colour(tmp_path: Path) -> None:
    root = tree(tmp_path)
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[:, :20] = (128, 64, 255)
    write(root / "masks/train/0.png", colours)
    with pytest.raises(ValueError, match=r"masks/train/0.png is an image in colour, and classes.txt names no colours"):
        open_dense(str(root), needs=MASKS).train.read(0)
    (root / "classes.txt").unlink()
    text(root / "class_dict.csv", "name,r,g,b\nVoid,0,0,0\nRoad,128,64,255\nTree,1,2,3\n")
    data = open_dense(str(root), needs=MASKS)
    assert data.classes == ("Road", "Tree")
    mask = data.train.read(0).mask
    assert mask is not None
    assert (mask[:, :20] == 0).all()
    assert (mask[:, 20:] == 255).all()
    colours[3, 3] = (9, 9, 9)
    write(root / "masks/train/0.png", colours)
    with pytest.raises(ValueError, match=r"the class 0x090909, which class_dict.csv does not name"):
        open_dense(str(root), needs=MASKS).train.read(0)


def test_lists_of_classes() -> None:
    assert [c.value for c in parse_classes("dog\ncat\n", "classes.txt")] == [0, 1]
    assert [(c.value, c.name) for c in parse_classes("4 cat\n1: dog\n", "classes.txt")] == [(1, "dog"), (4, "cat")]
    assert parse_classes("64 128 64\tAnimal\n0 0 0\tVoid\n", "label_colors.txt")[0].colour == (64, 128, 64)
    with pytest.raises(ValueError, match="must name each class and each number once"):
        parse_classes("1 dog\n1 cat\n", "classes.txt")


def test_camvid(shared_data: Callable[[str], Path]) -> None:
    data = open_dense(str(shared_data("camvid240")), needs=MASKS)
    assert (len(data.train), len(data.test), len(data.classes)) == (184, 117, 11)
    assert data.test_is == "the data's own test part"
    mask = data.test.read(0).mask
    assert mask is not None
    assert set(mask.unique().tolist()) <= {*range(11), 255}
    halves = [open_source(str(shared_data("camvid240")), split=s, needs=IMAGES) for s in ("train", "held_out", "test")]
    assert [len(half) for half in halves] == [184, 51, 117]
    with pytest.raises(ValueError, match=r"boxes are needed, but .*camvid240.zip holds none"):
        open_dense(str(shared_data("camvid240")), needs=frozenset({"box"}))

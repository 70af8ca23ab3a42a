"""Folders of images: labels, splits and order from names; one sentence where something lacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.data.sources.opening import IMAGES, LABELLED, opened
from tests.data.trees import Tree


def test_an_unlabelled_folder_needs_no_classes(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"trip/day{i % 3}/{i:02d}.jpg": data for i, data in enumerate(photos)})
    flat = tree(tmp_path / "flat", {f"{i:02d}.JPG": data for i, data in enumerate(photos)})
    train, held_out = opened(flat), opened(flat, "held_out")
    assert train.provides == IMAGES
    assert train.classes is None
    assert len(train) + len(held_out) == 24
    assert not {e.key for e in train.entries} & {e.key for e in held_out.entries}
    assert train.read(0) == photos[int(train.entries[0].key[:2])]


def test_classes_are_the_sub_folders_in_sorted_order(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"data/{('tench', 'church')[i % 2]}/{i:02d}.jpg": data for i, data in enumerate(photos)})
    source = opened(tmp_path, needs=LABELLED)
    assert source.classes == ("church", "tench")
    assert all(entry.label == ("tench" in entry.key) for entry in source.entries)
    assert [e.key for e in source.entries] == sorted(e.key for e in source.entries)


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train2017", "val2017", "test2017")]
)
@pytest.mark.parametrize("above", ["", "images/"])
def test_split_folders(tmp_path: Path, tree: Tree, photos: list[bytes], names: tuple[str, ...], above: str) -> None:
    files = {f"{above}{names[i % 3]}/{('a', 'b')[i // 12]}/{i:02d}.jpg": data for i, data in enumerate(photos)}
    tree(tmp_path, {**files, "cover.jpg": photos[0]})
    for number, split in enumerate(("train", "held_out", "test")):
        source = opened(tmp_path, split, LABELLED)
        assert len(source) == 8
        assert all(f"{names[number]}/" in entry.key for entry in source.entries)
        assert source.classes == ("a", "b")
        assert {entry.label for entry in source.entries} == {0, 1}


def test_the_fingerprint_follows_the_content(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"{i}.jpg": data for i, data in enumerate(photos)})
    first = opened(tmp_path).fingerprint
    assert opened(tmp_path).fingerprint == first
    assert opened(tmp_path, "held_out").fingerprint != first
    changed = tmp_path / opened(tmp_path).entries[0].key
    os.utime(changed, ns=(1, 1))
    assert opened(tmp_path).fingerprint == first
    changed.write_bytes(b"another image")
    assert opened(tmp_path).fingerprint != first


def test_hidden_files_and_loops_of_links(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {"a/1.jpg": photos[0], "a/2.jpg": photos[1], ".cache/3.jpg": photos[2], "a/._4.jpg": b"x"})
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert sum(len(opened(tmp_path, split)) for split in ("train", "held_out")) == 2

"""Folders of pictures: labels, splits and order from names; one sentence where something lacks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

Tree = Callable[[Path, dict[str, bytes]], Path]
LABELLED = frozenset({"image", "label"})
IMAGES = frozenset({"image"})


def opened(path: Path, split: str = "train", needs: frozenset[str] = IMAGES, seed: int = 0) -> Source:
    return open_source(str(path), split=split, needs=needs, seed=seed, held_out=0.25)


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


def test_unlabelled_part_trains_but_is_not_probed(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"unlabeled/{i}.jpg": data for i, data in enumerate(photos[:10])})
    for part in ("train", "test"):
        tree(tmp_path, {f"{part}/{c}/{i}.jpg": photos[i] for c in "ab" for i in range(3)})
    assert len(opened(tmp_path)) == 16
    assert len(opened(tmp_path, needs=LABELLED)) == 6


def test_labels_csv_goes_before_folders(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"x{i % 2}/{i:02d}.jpg": data for i, data in enumerate(photos)})
    rows = [f"x{i % 2}/{i:02d}.jpg,{10 if i < 12 else 9},{'train' if i % 4 else 'test'}" for i in range(23)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]), encoding="utf-8-sig")
    train = opened(tmp_path, needs=LABELLED)
    assert train.classes == ("9", "10")
    assert len(train) == 17  # 23 rows, 6 of them test; the file without a row is in no split
    assert {e.label for e in train.entries if e.key.endswith("01.jpg")} == {1}
    (tmp_path / "labels.csv").write_text("name,class\n")
    with pytest.raises(ValueError, match="must have the columns file and label"):
        opened(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nother.jpg,1\n")
    with pytest.raises(ValueError, match="names none of the 24 files"):
        opened(tmp_path)


def test_classes_txt_names_the_folders(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"n{i % 2}/{i}.jpg": data for i, data in enumerate(photos)})
    (tmp_path / "classes.txt").write_text("n0\ttench\nn1\tchurch\n")
    assert opened(tmp_path).classes == ("tench", "church")


def test_the_fingerprint_follows_the_content(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"{i}.jpg": data for i, data in enumerate(photos)})
    first = opened(tmp_path).fingerprint
    assert opened(tmp_path).fingerprint == first
    assert opened(tmp_path, "held_out").fingerprint != first
    changed = tmp_path / opened(tmp_path).entries[0].key
    os.utime(changed, ns=(1, 1))
    assert opened(tmp_path).fingerprint == first
    changed.write_bytes(b"another picture")
    assert opened(tmp_path).fingerprint != first


def test_hidden_files_and_loops_of_links(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {"a/1.jpg": photos[0], "a/2.jpg": photos[1], ".cache/3.jpg": photos[2], "a/._4.jpg": b"x"})
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert sum(len(opened(tmp_path, split)) for split in ("train", "held_out")) == 2


def test_what_lacks_is_one_sentence(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="holds no pictures, videos"):
        opened(empty)
    tree(tmp_path / "photos", {f"{i}.jpg": data for i, data in enumerate(photos)})
    with pytest.raises(
        ValueError, match=r"videos are needed, but .*photos holds pictures only .*give a folder of videos"
    ):
        opened(tmp_path / "photos", needs=frozenset({"video"}))
    with pytest.raises(ValueError, match=r"labels are needed, but .*labels\.csv"):
        opened(tmp_path / "photos", needs=LABELLED)
    with pytest.raises(ValueError, match=r"no file or folder .*absent"):
        opened(tmp_path / "absent")
    with pytest.raises(ValueError, match="did you mean cifar10"):
        open_source("cifar1", split="train", needs=IMAGES)
    with pytest.raises(ValueError, match=r"single file of kind \.jpg"):
        opened(tmp_path / "photos" / "0.jpg")


def test_photos_and_videos_in_one_folder(
    tmp_path: Path, tree: Tree, photos: list[bytes], shared_data: Callable[[str], Path]
) -> None:
    clip = next(shared_data("weizmann4").rglob("*.mp4"))
    tree(tmp_path, {"a.jpg": photos[0], "b.jpg": photos[1], "a.mp4": clip.read_bytes(), "b.mp4": clip.read_bytes()})
    assert "video" not in opened(tmp_path).provides
    assert "video" in opened(tmp_path, needs=frozenset({"video"})).provides
    (tmp_path / "a.jpg").unlink()
    (tmp_path / "b.jpg").unlink()
    assert "video" in opened(tmp_path).provides  # one frame of a video is a picture

"""Files that no sample is made of are counted, listed and told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_kinds import IMAGE_SUFFIXES, told_kinds
from selftaught.data.files.left_out import LeftOut, left_out_as, other_kinds
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.trees import folder

IMAGES = frozenset({"image"})


def opened(path: Path, needs: frozenset[str] = IMAGES) -> Source:
    return open_source(str(path), split="train", needs=needs)


def test_kinds_that_are_not_read_are_counted_and_those_that_go_with_data_are_not(tmp_path: Path) -> None:
    phone = [f"IMG_{i:04d}.HEIC" for i in range(26)]
    folder(tmp_path, "a.png", "b.png", *phone, "x.npy", "raw/y.CR2", "notes.txt", "README", "labels.json", "hash0123")
    source = opened(tmp_path)
    heic = {} if ".heic" in IMAGE_SUFFIXES else {".heic": 26}
    assert source.left_out.counts == {**heic, ".npy": 1, ".cr2": 1, "none": 1}
    if heic:
        assert source.left_out.files[0] == (
            "IMG_0000.HEIC",
            "read only with pillow-heif: pip install 'selftaught[heif]'",
        )
        assert list(source.notes) == [
            "29 files of kinds that are not read were left out: 26 .heic, 1 without an ending, 1 .cr2, 1 .npy; "
            "pip install 'selftaught[heif]' reads .heic and .heif"
        ]


def test_a_folder_of_nothing_that_is_read_says_what_it_holds(tmp_path: Path) -> None:
    folder(tmp_path, "0.nii", "1.nii", "a.czi")
    with pytest.raises(ValueError, match=r"among its 3 files \(2 .nii, 1 .czi\)"):
        opened(tmp_path)
    folder(tmp_path / "phone", "a.heic")
    if ".heic" not in IMAGE_SUFFIXES:
        with pytest.raises(ValueError, match=r"pip install 'selftaught\[heif\]' reads .heic"):
            opened(tmp_path / "phone")


def test_images_without_an_ending_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    folder(tmp_path, *(f"{c}/{i:08x}" for c in ("cat", "dog") for i in range(3)))
    (tmp_path / "cat" / "notes").write_text("no image")
    source = opened(tmp_path, IMAGES | {"label"})
    assert source.classes == ("cat", "dog")
    held_out = open_source(str(tmp_path), split="held_out", needs=IMAGES)
    assert len(source) + len(held_out) == 6
    assert source.left_out.counts == {"none": 1}
    folder(tmp_path, "a.png", "b.png")
    assert opened(tmp_path).left_out.counts == {"none": 7}


def test_archives_and_videos_beside_images_are_reported(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "old.zip", "x.parquet", "film.mp4")
    source = opened(tmp_path)
    assert source.left_out.counts == {".zip": 1, ".parquet": 1, ".mp4": 1}
    assert [note.partition(":")[0] for note in source.notes] == [
        "2 archives beside the images were left out",
        "1 video beside the images was left out",
    ]


def test_a_list_is_bounded_and_counts_are_not() -> None:
    left, notes = other_kinds((f"{i}.xyz" for i in range(10_500)), "images")
    assert left.counts == {".xyz": 10_500}
    assert len(left.files) == 10_000
    assert notes == ["10500 files of kinds that are not read were left out: 10500 .xyz"]
    both = left + left_out_as("masks", ["m.png"], "a mask")
    assert both.counts == {".xyz": 10_500, "masks": 1}
    assert len(both.files) == 10_000
    assert LeftOut() + LeftOut() == LeftOut({}, [])
    assert told_kinds({f".{i}": 9 - i for i in range(8)}) == "9 .0, 8 .1, 7 .2, 6 .3, 5 .4, 4 .5 and 5 others"


def test_numbered_frames_are_reported(tmp_path: Path) -> None:
    frames = [f"{c}/video_{v}/img_{i:05d}.png" for c in ("jump", "walk") for v in range(2) for i in range(1, 9)]
    folder(tmp_path, *frames)
    source = opened(tmp_path)
    assert any("the images of 4 folders (such as jump/video_0) are numbered as frames" in note for note in source.notes)
    numbered = folder(tmp_path / "classes", *(f"{c}/{i:04d}.png" for c in "ab" for i in range(8)))
    assert not any("frames" in note for note in opened(numbered).notes)


def test_images_of_phones_are_read_where_that_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    for i in range(3):
        heif.from_pillow(Image.new("RGB", (64, 48), (200, 30, 90))).save(tmp_path / f"{i}.HEIC", format="HEIF")
    pixels = decode_image(bytes(opened(tmp_path).read(0)))  # type: ignore[arg-type]
    assert pixels.shape == (48, 64, 3)
    assert abs(pixels[0, 0].astype(int) - (200, 30, 90)).max() < 8

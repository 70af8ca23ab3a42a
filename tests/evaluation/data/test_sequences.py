"""Frames and masks of videos: folders, a zip, DAVIS as distributed, and what cannot be followed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.sequences import MaskedVideos, open_sequences
from tests.evaluation.davis import FRAMES, moving_object, write_videos


def opened(path: Path) -> MaskedVideos:
    return open_sequences(Asked(data=DataSettings(path=str(path)), size=32, kind="image", needs=frozenset({"mask"})))


@pytest.mark.parametrize("archive", [False, True])
def test_frames_and_masks_are_read_in_order(tmp_path: Path, archive: bool) -> None:
    folder = write_videos(tmp_path / "data", {"bear": 1, "two": 2})
    path = Path(shutil.make_archive(str(tmp_path / "data"), "zip", folder)) if archive else folder
    videos = opened(path).test
    assert list(videos.keys) == ["bear", "two"]
    for i, objects in enumerate((1, 2)):
        frames, masks = moving_object(i, objects)
        assert np.array_equal(np.stack(list(videos.frames(i))), np.stack(frames))
        found = videos.masks(i)
        assert list(found) == list(range(FRAMES))
        assert np.array_equal(np.stack(list(found.values())), np.stack(masks))


def test_frames_are_sorted_by_number(tmp_path: Path) -> None:
    folder = write_videos(tmp_path, {"bear": 1})
    for place in ("frames", "masks"):
        for t in range(FRAMES):
            (folder / place / "bear" / f"{t:05d}.png").rename(folder / place / "bear" / f"f{t + 8}.png")
    assert np.array_equal(np.stack(list(opened(folder).test.frames(0))), np.stack(moving_object(0)[0]))


def test_of_davis_the_val_list_is_read(tmp_path: Path) -> None:
    names = {"bear": 1, "cat": 1, "dog": 1}
    write_videos(tmp_path, names, frames="JPEGImages/480p", masks="Annotations/480p")
    lists = tmp_path / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("/JPEGImages/480p/bear/00000.png /Annotations/480p/bear/00000.png\n")
    (lists / "val.txt").write_text(
        "".join(f"/JPEGImages/480p/{name}/00000.png /Annotations/480p/{name}/00000.png\n" for name in ("cat", "dog"))
    )
    found = opened(tmp_path)
    assert list(found.test.keys) == ["cat", "dog"]
    assert found.test_is == "2 videos of ImageSets/2016/val.txt"
    (tmp_path / "ImageSets" / "2017").mkdir()
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("dog\n")
    assert list(opened(tmp_path).test.keys) == ["dog"]


def test_masks_in_colour_and_void_pixels(tmp_path: Path) -> None:
    folder = write_videos(tmp_path, {"two": 2})
    _, masks = moving_object(0, 2)
    colours = np.array([[0, 0, 0], [9, 0, 0], [0, 200, 30]], np.uint8)
    for t, mask in enumerate(masks):
        Image.fromarray(colours[mask]).save(folder / "masks" / "two" / f"{t:05d}.png")
    found = opened(folder).test.masks(0)
    assert {int(value) for value in np.unique(found[0])} == {0, 1, 2}
    assert np.array_equal(found[2] > 0, masks[2] > 0)
    for t, mask in enumerate(masks):
        mask[:2] = 255
        Image.fromarray(mask).save(folder / "masks" / "two" / f"{t:05d}.png")
    assert {int(value) for value in np.unique(opened(folder).test.masks(0)[0])} == {0, 1, 2}


def test_videos_that_cannot_be_followed_are_left_out_and_listed(tmp_path: Path) -> None:
    folder = write_videos(tmp_path, {"bear": 1, "late": 1, "short": 1})
    (folder / "masks" / "late" / "00000.png").unlink()
    for t in range(1, FRAMES):
        (folder / "masks" / "short" / f"{t:05d}.png").unlink()
    found = opened(folder)
    assert list(found.test.keys) == ["bear"]
    assert found.test.skipped == [
        ("late", "its first frame has no mask"),
        ("short", "no frame after the first has a mask"),
    ]
    shutil.rmtree(folder / "frames" / "bear")
    with pytest.raises(ValueError, match=r"has no video whose masks can be followed \(such as late: its first frame"):
        opened(folder)
    shutil.rmtree(folder / "masks")
    with pytest.raises(ValueError, match="has no frames with masks; give a folder or zip with frames/VIDEO/"):
        opened(folder)


def test_broken_and_empty_masks_are_one_sentence(tmp_path: Path) -> None:
    folder = write_videos(tmp_path, {"bear": 1})
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(folder / "masks" / "bear" / "00000.png")
    with pytest.raises(ValueError, match="the first mask of its video, has no object"):
        opened(folder).test.masks(0)
    (folder / "masks" / "bear" / "00000.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"masks/bear/00000\.png cannot be read"):
        opened(folder).test.masks(0)

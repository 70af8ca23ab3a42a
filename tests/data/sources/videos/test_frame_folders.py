"""Folders of numbered images as videos: which are, of which class and part, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.hints import Hints
from selftaught.data.inputs import Clip
from selftaught.data.sources.base import Source
from selftaught.data.sources.moving.objects import Digits
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_samples import VideoSamples
from tests.data.sources.videos.frames_of import write_clips, write_frames
from tests.data.store.videos import counted, numbers
from tests.data.trees import picture

VIDEO = frozenset({"video"})


def opened(path: Path, split: str = "train", needs: frozenset[str] = VIDEO, held_out: float = 0.0) -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=held_out, hints=Hints(frame_rate=10))


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.parametrize("pack", [lambda path: path, zipped], ids=["folder", "zip"])
def test_classes_and_splits_are_the_folders_above(tmp_path: Path, pack: Callable[[Path], Path]) -> None:
    write_clips(tmp_path / "data", "train/run/a", "train/walk/b", "test/run/c", count=6)
    data = pack(tmp_path / "data")
    train, test = opened(data, needs=VIDEO | {"label"}), opened(data, "test")
    assert [(entry.key, entry.label) for entry in train.entries] == [("train/run/a", 0), ("train/walk/b", 1)]
    assert [(entry.key, entry.label) for entry in test.entries] == [("test/run/c", 0)]
    assert train.classes == ("run", "walk")
    assert any(
        note == "3 folders of numbered images (such as test/run/c) are read as videos of 6 to 6 frames, 10 a second "
        "(--frame-rate)"
        for note in train.notes
    )
    assert opened(data, needs=frozenset({"image"})).provides == {"image", "label"}  # frames remain images elsewhere


def test_the_top_folder_is_one_video_and_labels_csv_names_folders(tmp_path: Path) -> None:
    write_clips(tmp_path, "walk")
    assert [entry.key for entry in opened(tmp_path / "walk").entries] == ["walk"]
    write_clips(tmp_path, "run")
    (tmp_path / "labels.csv").write_text("file,label,split\nwalk/,slow,train\nrun,fast,test\n")
    train = opened(tmp_path, needs=VIDEO | {"label"})
    assert [(entry.key, (train.classes or ())[entry.label or 0]) for entry in train.entries] == [("walk", "slow")]


def test_clips_are_read_at_the_stated_rate_and_a_broken_frame_is_passed_over(cache: Path, tmp_path: Path) -> None:
    write_frames(tmp_path / "a", counted(20), name="frame_{}.png")
    write_frames(tmp_path / "b", counted(20), name="frame_{}.png")
    write_frames(tmp_path / "c", counted(6), name="frame_{}.png")
    (tmp_path / "b" / "frame_1.png").write_bytes(b"broken")
    (tmp_path / "b" / "frame_11.png").unlink()
    for image in (tmp_path / "c").iterdir():
        image.write_bytes(b"broken")
    sampling = Sampling(inputs={"clip": Clip(frames=4, fps=5)})
    samples = open_samples(opened(tmp_path), side=32, sampling=sampling, cache_limit_gb=1, workers=1)
    assert isinstance(samples, VideoSamples)
    assert samples.keys == ["a", "b"]
    for row, first in ((0, 0), (1, 1)):
        clip = samples.read(np.array([row]), np.array([[0.5, 0.5, 0.0]]))["clip"][0]
        assert numbers(clip) == [first, first + 2, first + 4, first + 6]
    assert samples.num_frames.tolist() == [20, 18]
    assert dict(samples.skipped)["b"] == "without images from 0.9 s to 1.0 s; the rest is used"
    assert "none of its 6 frames can be read" in dict(samples.skipped)["c"]


def test_a_class_folder_of_numbered_photographs_is_refused_and_never_guessed(tmp_path: Path) -> None:
    for k, name in enumerate(("cat", "dog")):
        write_frames(tmp_path / "photos" / name, np.stack([picture(20 * k + i) for i in range(8)]))
    with pytest.raises(ValueError, match=r"\(such as in cat\), neighbouring ones are not as alike"):
        opened(tmp_path / "photos")
    assert len(opened(tmp_path / "photos", needs=frozenset({"image"}))) == 16
    for k, name in enumerate(("cat", "dog")):
        noise = np.stack([picture(20 * k + i) for i in range(8)])
        write_frames(tmp_path / "named" / name, noise, name="frame_{:03d}.png")
    assert [entry.key for entry in opened(tmp_path / "named").entries] == ["cat", "dog"]


def test_images_without_such_numbers_are_no_videos(tmp_path: Path) -> None:
    for number in (17, 402, 3391, 3392, 8000, 9111):  # numbers of their own
        write_frames(tmp_path / "ids", picture(number)[None], first=number)
    with pytest.raises(ValueError, match=r"videos are needed, but .* or of folders of numbered frames"):
        opened(tmp_path)


def test_what_is_left_out_and_odd_is_said(tmp_path: Path) -> None:
    write_clips(tmp_path, "a", "b")
    write_frames(tmp_path / "b", counted(1, 20, 30), first=9)
    (tmp_path / "a" / "0003.png").unlink()
    write_frames(tmp_path, counted(1), name="cover.png")
    (tmp_path / "readme.txt").write_text("")
    source = opened(tmp_path)
    assert source.left_out.counts == {"images in no video": 1}
    assert list(source.notes)[1:] == [
        "1 image in folders that are not numbered as frames was left out (such as cover.png)",
        "1 frame is missing in 1 of them (such as a), by the numbers of the others; no clip reaches across the gap",
        "images of one video differ in size (in b 32 x 32 and 30 x 20); all are scaled and cut to that of its first",
    ]


def test_the_fingerprint_follows_the_frames_and_their_rate(tmp_path: Path) -> None:
    write_clips(tmp_path, "a", "b")
    before = opened(tmp_path).fingerprint
    assert opened(tmp_path).fingerprint == before
    other = open_source(str(tmp_path), split="train", needs=VIDEO, held_out=0.0, hints=Hints(frame_rate=5))
    assert other.fingerprint != before
    write_frames(tmp_path / "a", counted(1), first=1)
    assert opened(tmp_path).fingerprint != before


def test_frames_of_davis_are_videos_and_its_masks_are_not(shared_data: Callable[[str], Path]) -> None:
    source = opened(shared_data("davis240") / "davis240.zip")
    assert [entry.key for entry in source.entries][:2] == ["frames/blackswan", "frames/bmx-trees"]
    assert len(source) == 12
    assert source.left_out.counts["masks"] == 480
    assert source.classes is None


def test_faces_and_digits_are_alike_but_no_videos(tmp_path: Path) -> None:
    """Images of one class resemble each other whatever their order."""
    digits = Digits("train")
    for label in range(10):
        rows = [i for i, digit in enumerate(digits.labels) if digit == label][:8]
        images = np.stack([digits.cut(i, 32)[:, :, :3] * 255 for i in rows])
        write_frames(tmp_path / str(label), images.astype(np.uint8))
    with pytest.raises(ValueError, match="neighbouring ones are not as alike as frames"):
        opened(tmp_path)


@pytest.mark.parametrize("step", [1, 2])
def test_real_videos_are_taken_for_videos(tmp_path: Path, shared_data: Callable[[str], Path], step: int) -> None:
    for number, path in enumerate(sorted(shared_data("weizmann4").glob("*/*.mp4"))[:6]):
        frames = [one.image for one in decode_frames(str(path), 32)][::step]
        write_frames(tmp_path / f"{number}", np.stack(frames))
    assert len(opened(tmp_path)) == 6

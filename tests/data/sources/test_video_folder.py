"""Folders of videos: labels, splits, and sound asked for before anything is decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.files.file_kinds import VIDEO_SUFFIXES
from selftaught.data.inputs import Clip
from selftaught.data.sources.open import open_source
from selftaught.data.sources.video_folder import VideoFolder, open_video_folder
from selftaught.data.store.open import open_samples

VIDEO = frozenset({"video"})
SOUND = frozenset({"video", "audio"})
FRAMES = np.zeros((4, 32, 32, 3), np.uint8)
BEEP = np.sin(np.arange(8000) / 8).astype(np.float32) / 2


def opened(path: Path, split: str = "train", needs: frozenset[str] = VIDEO, held_out: float = 0.0) -> VideoFolder:
    return open_video_folder(path, split=split, needs=needs, seed=0, held_out=held_out)


def touch(folder: Path, *keys: str) -> Path:
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(b"")
    return folder


def test_finds_every_kind_at_any_depth_and_reads_paths(tmp_path: Path) -> None:
    names = [f"deep/er/clip{suffix}" for suffix in sorted(VIDEO_SUFFIXES - {".ts"})]
    source = opened(touch(tmp_path, *names, "upper.MP4", "notes.txt", ".hidden.mp4"))
    assert [entry.key for entry in source.entries] == [*names, "upper.MP4"]
    assert source.read(0) == str(tmp_path / names[0])
    assert source.provides == {"video", "image"}
    assert source.classes is None


def test_classes_are_sub_folders_and_splits_the_folders_above(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/a.mp4", "train/walk/b.mp4", "val/walk/c.mp4", "test/run/d.mp4")
    train, held_out, test = (opened(tmp_path, split) for split in ("train", "held_out", "test"))
    assert train.classes == held_out.classes == ("run", "walk")
    assert [(e.key, e.label) for e in train.entries] == [("train/run/a.mp4", 0), ("train/walk/b.mp4", 1)]
    assert [e.key for e in held_out.entries] == ["val/walk/c.mp4"]
    assert [(e.key, e.label) for e in test.entries] == [("test/run/d.mp4", 0)]
    assert "label" in train.provides


def test_labels_csv_goes_before_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4", "b/3.mp4")
    (tmp_path / "labels.csv").write_text(
        "file,label,split\na/1.mp4,wave,train\nb/2.mp4,bend,train\nb/3.mp4,wave,test\n"
    )
    source = opened(tmp_path)
    assert source.classes == ("bend", "wave")
    assert [(e.key, e.label) for e in source.entries] == [("a/1.mp4", 1), ("b/2.mp4", 0)]
    assert [e.key for e in opened(tmp_path, "held_out").entries] == ["b/3.mp4"]


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    before = opened(tmp_path).fingerprint
    assert opened(tmp_path).fingerprint == before
    (tmp_path / "a.mp4").write_bytes(b"more")
    assert opened(tmp_path).fingerprint != before


def test_real_splits_keep_performers_and_persons_apart(shared_data: Callable[[str], Path]) -> None:
    weizmann = {split: opened(shared_data("weizmann4"), split) for split in ("train", "held_out")}
    assert {split: len(source) for split, source in weizmann.items()} == {"train": 48, "held_out": 24}
    assert weizmann["train"].classes == ("bend", "jack", "wave1", "wave2")
    assert not {e.key[:-5] for e in weizmann["train"].entries} & {e.key[:-5] for e in weizmann["held_out"].entries}
    letters = opened(shared_data("asl_letters12"), "test")
    assert len(letters) == 143
    assert len(letters.classes or ()) == 12


def test_clips_without_sound_are_left_out_and_listed(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "loud.mp4", FRAMES, sound=BEEP)
    write_video(tmp_path / "mute.mp4", FRAMES)
    touch(tmp_path, "empty.mp4")
    source = opened(tmp_path, needs=SOUND)
    assert [e.key for e in source.entries] == ["loud.mp4"]
    assert "audio" in source.provides
    assert dict(source.skipped)["mute.mp4"] == "no sound track"
    assert dict(source.skipped)["empty.mp4"] == "the file is empty"
    assert "audio" not in opened(tmp_path).provides


def test_a_folder_without_sound_is_refused_in_one_sentence(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "first.mp4", FRAMES)
    write_video(tmp_path / "second.mkv", FRAMES)
    with pytest.raises(ValueError, match=r"sound is needed.*none of the 2 videos.*first\.mp4: no sound track"):
        open_source(str(tmp_path), split="train", needs=SOUND, held_out=0.0)


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "photo.jpg")
    with pytest.raises(ValueError, match="holds no videos"):
        opened(tmp_path)
    with pytest.raises(ValueError, match=r"videos are needed, but .* holds images only"):
        open_source(str(tmp_path), split="train", needs=VIDEO, held_out=0.0)


def test_a_transport_stream_is_known_by_its_bytes(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "code.ts")
    (tmp_path / "code.ts").write_text("const a = 1;\n" * 40)
    (tmp_path / "clip.ts").write_bytes((b"\x47" + bytes(187)) * 4)
    (tmp_path / "clip.m2ts").write_bytes((bytes(4) + b"\x47" + bytes(187)) * 4)
    source = opened(tmp_path)
    keys = {entry.key for part in ("train", "held_out") for entry in opened(tmp_path, part, held_out=0.5).entries}
    assert keys == {"a.mp4", "b.mp4", "clip.ts", "clip.m2ts"}
    assert source.left_out.counts == {".ts": 1}


def test_animated_images_are_videos_where_clips_are_needed(tmp_path: Path) -> None:
    touch(tmp_path, "a.gif", "b.gif")
    assert open_source(str(tmp_path), split="train", needs=frozenset({"video"})).provides >= {"video"}
    assert "video" not in open_source(str(tmp_path), split="train", needs=frozenset({"image"})).provides


def test_official_lists_that_are_not_read_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.avi", "b/1.avi", "lists/trainlist01.txt", "lists/testlist01.txt")
    (note,) = opened(tmp_path).notes
    assert note.startswith("2 lists such as lists/testlist01.txt are not read")


def test_images_beside_videos_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.jpg", "d.png", "e.zip")
    source = open_source(str(tmp_path), split="train", needs=frozenset({"video"}))
    assert source.left_out.counts == {".jpg": 1, ".png": 1, ".zip": 1}
    assert list(source.notes) == [
        "1 archive beside the videos was left out: 1 .zip; give the path of one to read it",
        "2 images beside the videos were left out: 1 .jpg, 1 .png",
    ]


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".wmv", "asf", "wmv2"),
        (".flv", "flv", "flv1"),
        (".ts", "mpegts", "mpeg2video"),
        (".mxf", "mxf", "mpeg2video"),
        (".vob", "vob", "mpeg2video"),
        (".m2v", "mpeg2video", "mpeg2video"),
        (".gif", "gif", "gif"),
    ],
)
def test_every_container_is_decoded(tmp_path: Path, suffix: str, container: str, codec: str) -> None:
    with av.open(str(tmp_path / f"clip{suffix}"), "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if codec == "gif" else "yuv420p"
        for i in range(20):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 12 * i, np.uint8), "rgb24")))
        file.mux(stream.encode())
    source = open_source(str(tmp_path), split="train", needs=VIDEO, held_out=0.0)
    samples = open_samples(
        source, side=16, sampling=Sampling(inputs={"video": Clip(frames=4)}), cache_limit_gb=1, workers=1
    )
    assert list(samples.keys) == [f"clip{suffix}"]
    assert not samples.skipped


def test_a_held_out_part_with_sound_is_drawn(tmp_path: Path, write_video: Any) -> None:
    """The video that would be held out has no sound: another one is, and no part is empty."""
    frames = np.zeros((4, 32, 32, 3), np.uint8)
    needs = frozenset({"video"})
    names = [f"{i}.mp4" for i in range(8)]
    for name in names:
        write_video(tmp_path / name, frames)
    drawn = [e.key for e in open_video_folder(tmp_path, split="held_out", needs=needs, seed=0, held_out=0.1).entries]
    for name in set(names) - {*drawn}:
        write_video(tmp_path / name, frames, sound=np.zeros(8000, np.float32))
    parts = [
        open_video_folder(tmp_path, split=split, needs=needs | {"audio"}, seed=0, held_out=0.1)
        for split in ("train", "held_out")
    ]
    keys = [{entry.key for entry in part.entries} for part in parts]
    assert all(keys)
    assert keys[0] | keys[1] == set(names) - {*drawn}
    assert not keys[0] & keys[1]
    assert [key for key, _ in parts[0].skipped] == drawn
    assert list(parts[1].skipped) == []


def test_what_a_folder_of_videos_lacks_is_said_of_videos(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"never opened")
    with pytest.raises(ValueError, match=r"^labels are needed, but .* holds videos only \(such as a.mp4\)"):
        open_source(str(tmp_path), split="train", needs=frozenset({"video", "label"}), held_out=0.0)

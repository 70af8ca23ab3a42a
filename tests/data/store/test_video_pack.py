"""Packing videos: every container, and what is damaged."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import Header
from selftaught.data.inputs import Clip
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.cache import list_stores
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_pack import Shard, estimated_bytes, read_headers
from tests.data.decode.test_video_frames import break_packet
from tests.data.store.codecs import ROWS, number_in, write
from tests.data.store.videos import counted, draws, moving, numbers, opened, read


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mpg", ".webm", ".mov"])
def test_every_container_gives_its_frames(tmp_path: Path, write_video: Any, suffix: str) -> None:
    write_video(tmp_path / f"a{suffix}", counted())
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=20)}))
    clip = read(samples, 0.0)["video"]
    assert clip is not None
    assert clip.shape == (1, 20, 32, 32, 3)
    assert numbers(clip[0]) == list(range(20))


def test_broken_files_are_skipped_and_listed(tmp_path: Path, write_video: Any) -> None:
    whole = write_video(tmp_path / "whole.mp4", moving(30)).read_bytes()
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.avi").write_bytes(b"this is not a video\n" * 50)
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound_only.mkv"), "w") as container:
        voice: Any = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(voice.encode(frame))
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=5)}))
    assert samples.keys == ["whole.mp4"]
    reasons = dict(samples.skipped)
    assert set(reasons) == {"zero.mp4", "text.avi", "headless.mp4", "sound_only.mkv"}
    assert reasons["sound_only.mkv"] == "no video stream"
    assert all(reasons.values())
    assert not any(str(tmp_path) in reason for reason in reasons.values())


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mpg"])
def test_a_truncated_file_gives_what_came_before(tmp_path: Path, write_video: Any, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noisy = moving(40) // 2 + rng.integers(0, 100, (40, 48, 48, 3)).astype(np.uint8)
    data = write_video(tmp_path / f"whole{suffix}", noisy).read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[: int(len(data) * 0.6)])
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=2)}), side=48)
    assert samples.keys == [f"cut{suffix}", f"whole{suffix}"]
    cut, whole = (int(samples.num_frames[row]) for row in (0, 1))
    assert whole == 40
    assert 2 <= cut < 40
    batch = samples.read(np.array([0, 1]), draws(0.0, 0.0))
    assert np.array_equal(batch["video"][0], batch["video"][1])


@pytest.mark.parametrize("name", ["b_frames.mp4", "open_gop.mkv"])
def test_a_broken_stretch_is_listed_and_no_clip_crosses_it(tmp_path: Path, name: str) -> None:
    path = write(replace(next(made for made in ROWS if made.file == name), count=40), tmp_path)
    break_packet(path, number=14)  # frames 11 to 19 are lost with it
    packed, live = (
        opened(tmp_path, Sampling(inputs={"video": Clip(frames=5)}), side=48, limit=x) for x in (50.0, 1e-9)
    )
    assert packed.skipped == live.skipped == [(name, "damaged from 0.4 s to 0.8 s; the rest is used")]
    rows, places = np.zeros(60, np.int64), draws(*np.linspace(0, 1, 60))
    clips = packed.read(rows, places)["video"]
    assert np.array_equal(clips, live.read(rows, places)["video"])
    numbers = [[number_in(frame) for frame in clip] for clip in clips]
    assert all(np.diff(clip).tolist() == [1] * 4 for clip in numbers)
    assert {number for clip in numbers for number in clip} == {*range(11), *range(20, 40)}


def test_a_file_that_ends_early_is_listed(tmp_path: Path, write_video: Any) -> None:
    rng = np.random.default_rng(0)
    data = write_video(tmp_path / "a.avi", rng.integers(0, 255, (60, 32, 32, 3)).astype(np.uint8)).read_bytes()
    (tmp_path / "a.avi").write_bytes(data[: len(data) // 3])
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=2)}))
    ((_, note),) = samples.skipped
    assert re.fullmatch(r"(lacks what follows|damaged from) 0\.\d s .*; the rest is used", note)


def test_many_broken_stretches_are_counted(tmp_path: Path) -> None:
    made = replace(next(made for made in ROWS if made.file == "mjpeg.avi"), count=40)
    path = write(made, tmp_path)
    for number in (5, 12, 20, 21, 30, 36):
        break_packet(path, number=number)
    ((_, note),) = opened(tmp_path, Sampling(), side=48).skipped
    assert note == (
        "damaged from 0.2 s to 0.3 s, from 0.4 s to 0.6 s, from 0.8 s to 0.9 s, in 2 more places; the rest is used"
    )


def test_a_folder_with_nothing_readable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 videos .* can be read; the first, a\.mp4: the file is empty"):
        opened(tmp_path, Sampling(inputs={"video": Clip(frames=2)}))


def test_the_store_is_built_once_and_serves_every_sampling(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "once.mp4", counted())
    calls: list[tuple[int, int]] = []
    source = open_video_folder(tmp_path, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    for sampling in (
        Sampling(),
        Sampling(inputs={"video": Clip(frames=3)}),
        Sampling(inputs={"video": Clip(frames=2, fps=5)}),
    ):
        open_samples(
            source,
            side=32,
            sampling=sampling,
            cache_limit_gb=1,
            workers=1,
            progress=lambda done, total: calls.append((done, total)),
        )
    assert calls == [(1, 1)]
    (info,) = [store for store in list_stores() if store.data == str(tmp_path)]
    assert (info.kind, info.samples, info.side) == ("videos", 1, 32)


def test_a_shard_forgets_what_was_written_after_a_place(tmp_path: Path) -> None:
    frame, sound = np.full((2, 2, 3), 7, np.uint8), np.arange(5, dtype=np.int16)
    with ExitStack() as files:
        shard = Shard(0, tmp_path, files)
        shard.add_frame(frame)
        place = shard.position
        shard.add_frame(frame)
        shard.add_sound(sound)
        assert (place, shard.position) == ((12, 0), (24, 10))
        shard.cut(place)
        shard.add_sound(sound[::2])
    assert (tmp_path / "frames-0.bin").read_bytes() == frame.tobytes()
    assert np.fromfile(tmp_path / "sound-0.bin", np.int16).tolist() == [0, 2, 4]


def test_without_a_folder_nothing_is_written() -> None:
    shard = Shard(0, None, ExitStack())
    shard.add_frame(np.zeros((2, 2, 3), np.uint8))
    assert shard.position == (0, 0)


def test_headers_are_read_or_say_why_not(tmp_path: Path, write_video: Any) -> None:
    whole = write_video(tmp_path / "a.mp4", counted(10, 32, 48))
    (tmp_path / "b.mp4").write_bytes(b"")
    headers, skipped = read_headers([str(whole), str(tmp_path / "b.mp4")], 2)
    assert list(headers) == [0]
    assert isinstance(headers[0], Header)
    assert [entry for entry, _ in skipped] == [1]
    assert estimated_bytes(headers.values(), 32) == 10 * 32 * 32 * 1.5 * 3


def test_very_short_and_very_long_videos(tmp_path: Path) -> None:
    made = next(made for made in ROWS if made.file == "uneven.mkv")
    hours = [300_000 * k for k in range(37)]
    write(replace(made, file="one_frame.mkv", count=1, times=[0]), tmp_path)
    write(replace(made, file="short.mkv", count=5, times=None), tmp_path)
    write(replace(made, file="three_hours.mkv", count=37, times=hours), tmp_path)
    packed, live = (
        opened(tmp_path, Sampling(inputs={"video": Clip(frames=8)}), side=48, limit=x) for x in (50.0, 1e-9)
    )
    assert packed.keys == ["three_hours.mkv"]
    assert (
        packed.skipped
        == live.skipped
        == [
            ("one_frame.mkv", "1 frame, fewer than the 8 of a clip"),
            ("short.mkv", "5 frames, fewer than the 8 of a clip"),
        ]
    )
    rows, places = np.zeros(9, np.int64), draws(*np.linspace(0, 1, 9))
    clips = packed.read(rows, places)
    assert clips.time is not None
    assert (clips.time[0], clips.time[-1]) == (300 * 3.5, 300 * 32.5)
    assert [number_in(clip[0]) for clip in clips["video"]] == pytest.approx(np.linspace(0, 29, 9), abs=1)
    assert np.array_equal(clips["video"], live.read(rows, places)["video"])
    assert opened(tmp_path, Sampling(), side=48).keys == ["one_frame.mkv", "short.mkv", "three_hours.mkv"]


@pytest.mark.parametrize("limit", [50.0, 1e-9], ids=["packed", "live"])
def test_clips_keep_to_shots_without_bars_and_black_frames(tmp_path: Path, write_video: Any, limit: float) -> None:
    """Eight black frames, then three shots, in a letterbox of twelve lines above and below."""
    rng = np.random.default_rng(0)
    frames = np.zeros((56, 96, 96, 3), np.uint8)
    for shot in range(3):
        ground = np.kron(rng.integers(60, 220, (6, 8, 1)), np.ones((12, 12, 3)))
        frames[8 + 16 * shot : 24 + 16 * shot, 12:84] = ground
    frames[8:, 30:40, 30:66] = 0
    for number in range(8, 56):
        frames[number, 30:40, 30 : 30 + 6 * (number % 6)] = 255
    write_video(tmp_path / "a.mp4", frames)
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=6)}), side=32, limit=limit)
    numbers = samples.frames_of(np.zeros(200, np.int64), draws(*np.linspace(0, 1, 200)), "video")
    assert {(int(first) - 8) // 16 for first in numbers[:, 0]} == {0, 1, 2}
    assert ((numbers[:, 0] - 8) // 16 == (numbers[:, -1] - 8) // 16).all()
    assert set(numbers.ravel()) == set(range(8, 56))
    clip = read(samples, 0.3)["video"][0]
    assert clip.shape == (6, 32, 32, 3)
    assert clip.mean((0, 2, 3)).min() > 50  # no dark line is left
    (height, width) = (int(samples.stored.height[0]), int(samples.stored.width[0]))
    assert height == 32
    assert width == pytest.approx(32 * 96 / 68, abs=2)
    assert samples.skipped == []

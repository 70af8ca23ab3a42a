"""Packed videos: real times, sound in step with the image, damage listed, and the same frames without a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import selftaught
from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Sound
from selftaught.data.store.cache import list_stores
from selftaught.data.store.video_samples import _KEPT
from tests.data.store.videos import counted, draws, moving, numbers, opened, read


def test_images_of_videos_are_single_frames(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    batch = read(opened(tmp_path, Sampling()), 0.0, 0.5, 0.999)
    assert list(batch.inputs) == ["image"]
    assert batch["image"].shape == (3, 32, 32, 3)
    assert numbers(batch["image"])[0] == 0
    assert numbers(batch["image"])[2] == 19


def test_flash_and_beep_stay_together(tmp_path: Path, write_video: Any) -> None:
    rate, at = 44100, 2.4
    frames = np.full((100, 32, 32, 3), 20, np.uint8)
    frames[60:63] = 250
    sound = np.zeros(4 * rate, np.float32)
    sound[int(at * rate) : int((at + 0.12) * rate)] = 0.8 * np.sin(np.arange(int(0.12 * rate)) / 7)
    for suffix in (".mp4", ".mkv", ".avi"):
        folder = tmp_path / suffix[1:]
        write_video(folder / f"a{suffix}", frames, sound=sound, rate=rate)
        samples = opened(folder, Sampling(inputs={"video": Clip(frames=1), "audio": Sound(seconds=1.0)}))
        batch = read(samples, *np.linspace(0, 0.999, 80))
        assert batch.time is not None
        assert batch["audio"].shape == (80, 16000)
        bright = batch["video"].mean((1, 2, 3, 4)) > 130
        assert np.abs(batch.time[bright] - (at + 0.04)).max() < 0.09
        for time, heard in zip(batch.time, batch["audio"], strict=True):
            onset = at - (time - 0.5)
            loud = np.flatnonzero(np.abs(heard) > 0.2)
            if 0.05 < onset < 0.95:
                assert loud[0] / 16000 == pytest.approx(onset, abs=0.03)
            elif not -0.2 < onset < 1.05:
                assert not len(loud)


def test_sound_windows_are_whole_where_they_can_be(tmp_path: Path, write_video: Any) -> None:
    sound = np.full(3 * 16000, 0.5, np.float32) * np.sin(np.arange(48000) / 5).astype(np.float32)
    write_video(tmp_path / "a.avi", counted(75), sound=sound, rate=16000)
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=1), "audio": Sound(seconds=1.0)}))
    batch = read(samples, *np.linspace(0, 0.999, 20))
    assert (np.abs(batch["audio"]).reshape(20, 100, 160).max(2) > 0.1).all()


def test_evaluation_clips_are_evenly_spaced(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=1)}))
    views = samples.eval_draws(1, 10)
    assert [view.shape for view in views] == [(1, 3)] * 10
    found = [numbers(read(samples, view[0, 2])["video"][0])[0] for view in views]
    assert found == sorted(found)
    assert len(set(found)) == 10
    assert set(np.diff(found)) <= {1, 2}


def test_real_clips_have_their_stated_frames_and_sound(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("weizmann4")
    lines = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]
    stated = {line[0]: int(line[4]) for line in lines}
    samples = opened(folder, Sampling(inputs={"video": Clip(frames=16)}), side=64)
    assert samples.labels is not None
    assert len(samples) == 48
    assert {key: int(samples.num_frames[row]) for row, key in enumerate(samples.keys)} == {
        key: stated[key] for key in samples.keys
    }
    for row in (0, 13, 47):
        seconds, _ = samples.clip(row, 0.5)
        assert np.allclose(np.diff(seconds), 1 / 25, atol=1e-6)


def test_frames_are_kept_raw_or_as_jpeg_or_not_by_the_limit(tmp_path: Path, write_video: Any, cache: Path) -> None:
    write_video(tmp_path / "videos" / "a.mp4", moving(40, side=64))
    write_video(tmp_path / "videos" / "b.avi", moving(30, side=64, seed=1))
    raw_gb = 70 * 64 * 64 * 3 / 1e9
    rows, places = np.array([0, 1, 0]), draws(0.1, 0.5, 0.9)
    kinds, read, notes = [], [], []
    for limit in (1.01 * raw_gb, 0.99 * raw_gb, raw_gb / 5 * 1.01, raw_gb / 5 * 0.99):
        samples = opened(tmp_path / "videos", Sampling(inputs={"video": Clip(frames=8)}), side=64, limit=limit)
        (store,) = list_stores()  # the one before made room
        kinds.append(store.kind)
        read.append(samples.read(rows, places)["video"])
        notes.append(samples.notes)
        selftaught.cache(clear=True)
    assert kinds == ["videos", "videos as JPEG", "videos as JPEG", "videos, index only"]
    raw, jpeg, again, live = read
    assert np.array_equal(raw, live)
    assert np.array_equal(jpeg, again)
    assert np.abs(raw.astype(int) - jpeg).mean() < 6
    assert not np.array_equal(raw, jpeg)
    assert notes[0] == ()
    assert "more than --cache-limit" in notes[1][0]
    assert notes[1][0].endswith("they are kept as JPEG of quality 90")
    assert notes[3][0].endswith("they are decoded each time they are read")


def test_a_damaged_jpeg_store_is_said(tmp_path: Path, write_video: Any, cache: Path) -> None:
    write_video(tmp_path / "videos" / "a.mp4", moving(40, side=64))
    samples = opened(tmp_path / "videos", Sampling(), side=64, limit=0.5 * 40 * 64 * 64 * 3 / 1e9)
    whole = np.stack(list(samples.stored.read(0)))
    assert whole.shape == (40, 64, 64, 3)
    assert np.array_equal(samples.stored.some(0, {7})[7], whole[7])
    for file in samples.stored.folder.glob("frames-*.bin"):
        file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(ValueError, match="is damaged; remove it with `selftaught cache --clear`"):
        read(samples, 0.5)


def test_the_share_of_jpeg_is_an_upper_estimate(
    shared_data: Callable[[str], Path], tmp_path: Path, cache: Path
) -> None:
    for video in sorted(shared_data("jhmdb14").glob("*/*_00.mp4"))[:4]:
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / video.name).symlink_to(video)
    samples = opened(tmp_path / "videos", Sampling(), side=64, limit=0.0018)
    raw = int((3 * samples.stored.height * samples.stored.width * samples.stored.frames).sum())
    kept = sum(file.stat().st_size for file in samples.stored.folder.glob("frames-*.bin"))
    assert raw > 0.0018e9
    assert kept < _KEPT["jpeg"] * raw

"""Several inputs of one moment, by value: the numbers of the frames are the grey levels of the video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Image, Input, Sound
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_samples import VideoSamples

PAST_AND_FUTURE = {"past": Clip(frames=4), "future": Clip(frames=3, after="past")}


def counted(count: int = 24) -> NDArray[np.uint8]:
    """Frames that are all of one grey level: 9 times their number plus 20."""
    level = (20 + 9 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (count, 32, 32, 3)).copy()


def numbers(frames: NDArray[np.uint8]) -> list[int]:
    return [round(float(level - 20) / 9) for level in frames.mean((1, 2, 3))]


def opened(path: Path, inputs: Mapping[str, Input], *, limit: float = 50.0) -> VideoSamples:
    needs = frozenset({"video", "audio"} if "audio" in inputs else {"video"})
    source = open_video_folder(path, split="train", needs=needs, seed=0, held_out=0.0)
    samples = open_samples(source, side=16, sampling=Sampling(inputs=inputs), cache_limit_gb=limit, workers=1)
    assert isinstance(samples, VideoSamples)
    return samples


def read(samples: VideoSamples, count: int = 40, own: float = 0.5) -> dict[str, list[list[int]]]:
    """Input -> the numbers of the frames of `count` samples, their moments evenly spread."""
    draws = np.full((count, samples.sampling.draws), own)
    draws[:, 2] = np.linspace(0, 0.999, count)
    host = samples.read(np.zeros(count, np.int64), draws)
    return {
        name: [numbers(clip if clip.ndim == 4 else clip[None]) for clip in clips]
        for name, clips in host.inputs.items()
        if clips.ndim >= 4
    }


@pytest.mark.parametrize("limit", [50.0, 1e-9])
def test_the_future_begins_where_the_past_ends(tmp_path: Path, write_video: Any, limit: float) -> None:
    write_video(tmp_path / "a.mp4", counted())
    found = read(opened(tmp_path, PAST_AND_FUTURE, limit=limit))
    assert all(past == list(range(past[0], past[0] + 4)) for past in found["past"])
    assert all(
        future == [past[-1] + k for k in (1, 2, 3)] for past, future in zip(found["past"], found["future"], strict=True)
    )
    assert {past[0] for past in found["past"]} == set(range(24 - 7 + 1))  # the whole video is used, and no more


def test_the_order_of_names_does_not_matter(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    turned = dict(reversed(PAST_AND_FUTURE.items()))
    assert read(opened(tmp_path, turned)) == read(opened(tmp_path, PAST_AND_FUTURE))


def test_two_rates_strides_and_a_gap(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())  # 25 frames a second
    inputs = {
        "past": Clip(frames=3, stride=2),
        "future": Clip(frames=2, fps=12.5, after="past", gap=0.08),
        "end": Clip(frames=2, after="future"),
    }
    found = read(opened(tmp_path, inputs))
    for past, future, end in zip(found["past"], found["future"], found["end"], strict=True):
        assert past == [past[0], past[0] + 2, past[0] + 4]
        assert future == [past[-1] + 4, past[-1] + 6]  # two frames of gap, then its own step of two
        assert end == [future[-1] + 1, future[-1] + 2]
    assert min(past[0] for past in found["past"]) == 0
    assert max(end[-1] for end in found["end"]) == 23


def test_a_gap_that_is_drawn(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    samples = opened(tmp_path, {"past": Clip(frames=2), "future": Clip(frames=2, after="past", gap=(0.0, 0.4))})
    gaps = {}
    for own in (0.0, 0.5, 0.999):
        found = read(samples, own=own)
        gaps[own] = {future[0] - past[-1] - 1 for past, future in zip(found["past"], found["future"], strict=True)}
        assert max(future[-1] for future in found["future"]) <= 23
    assert gaps == {0.0: {0}, 0.5: {5}, 0.999: {10}}


def test_one_moment_and_one_window_for_all(tmp_path: Path, write_video: Any) -> None:
    sound = np.sin(np.arange(16000) / 5).astype(np.float32)
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8)[None, None, :, None] * 2, (25, 48, 96, 3)).copy()
    write_video(tmp_path / "a.avi", ramp, sound=sound, rate=16000)
    inputs = {"image": Image(), "clip": Clip(frames=5), "again": Image(), "audio": Sound(seconds=0.2)}
    samples = opened(tmp_path, inputs)
    draws = np.array([[0.5, 0.0, 0.3], [0.5, 0.999, 0.7]])
    host = samples.read(np.zeros(2, np.int64), draws)
    assert {name: one.shape for name, one in host.inputs.items()} == {
        "image": (2, 16, 16, 3), "clip": (2, 5, 16, 16, 3), "again": (2, 16, 16, 3), "audio": (2, 3200),
    }  # fmt: skip
    assert np.array_equal(host["image"], host["again"])
    assert np.array_equal(host["image"], host["clip"][:, 2])  # the moment is the middle of the clip
    assert host["image"][1].mean() > host["image"][0].mean() + 50


def test_videos_without_room_for_both_are_listed(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "long.mp4", counted(24))
    write_video(tmp_path / "short.mp4", counted(6))
    samples = opened(tmp_path, PAST_AND_FUTURE)
    assert samples.keys == ["long.mp4"]
    assert samples.skipped == [("short.mp4", "6 frames, fewer than the 7 of a clip and those after it")]
    later = {"past": Clip(frames=4, fps=25), "future": Clip(frames=4, fps=25, after="past", gap=0.2)}
    assert opened(tmp_path, later).skipped == [
        ("short.mp4", "0.2 s, shorter than a clip of 0.1 s and those after it, 0.4 s")
    ]
    with pytest.raises(ValueError, match="none of the 2 videos"):
        opened(tmp_path, {"past": Clip(frames=14), "future": Clip(frames=14, after="past")})

"""Cuts, black frames and bars, by value on what is drawn; joins of real videos are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.decode.shots import Looks
from selftaught.data.decode.video_frames import decode_frames


def scene(seed: int, count: int, *, pan: int = 2, height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """(T, H, W): a textured ground over which the camera moves, `pan` pixels a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(50, 220, (12, 12 + pan * count // 8)).astype(np.uint8)
    ground = cv2.resize(coarse, (width + pan * count, height), interpolation=cv2.INTER_LINEAR)
    return np.stack([ground[:, pan * t : pan * t + width] for t in range(count)])


def looks(*parts: NDArray[np.uint8]) -> Looks:
    found = Looks()
    for frame in np.concatenate(parts):
        found.add(frame, 16)
    return found


def test_cuts_are_found_where_scenes_are_joined() -> None:
    scenes = [scene(seed, 12, pan=1) for seed in range(6)]
    assert looks(*scenes).cuts() == [12, 24, 36, 48, 60]
    assert looks(scenes[0]).cuts() == []
    assert looks(scenes[0][:1]).cuts() == []


def test_a_flash_a_fade_and_a_fast_pan_are_no_cuts() -> None:
    flash = scene(0, 24, pan=1)
    flash[10:12] = 235
    assert looks(flash).cuts() == []
    light = np.linspace(1, 0.4, 24)[:, None, None]
    assert looks((scene(1, 24) * light).astype(np.uint8)).cuts() == []
    assert looks(scene(2, 24, pan=8)).cuts() == []


def test_segments_end_at_cuts_and_damage_and_hold_no_black_ends() -> None:
    black = np.full((5, 60, 80), 18, np.uint8)
    found = looks(black, scene(0, 20), black, scene(1, 20), black[:2])
    assert found.segments([12]) == [(5, 12), (12, 25), (30, 50)]
    assert looks(black).segments() == [(0, 5)]
    assert looks(scene(0, 9)).segments() == [(0, 9)]


@pytest.mark.parametrize(
    ("above", "below", "left", "right", "box"),
    [
        (0, 0, 0, 0, None),
        (8, 8, 0, 0, (9, 0, 42, 80)),  # one line of 64 more
        (0, 0, 10, 12, (0, 12, 60, 54)),
        (6, 6, 10, 10, (7, 12, 46, 56)),
        (0, 0, 2, 0, (0, 4, 60, 76)),  # the edge of an analogue video
        (20, 0, 0, 0, None),  # the night sky
        (25, 25, 0, 0, None),  # a dark scene
    ],
)
def test_bars_are_cut_off(above: int, below: int, left: int, right: int, box: tuple[int, int, int, int] | None) -> None:
    frames = scene(0, 30).copy()
    frames[:, :above] = frames[:, 60 - below :] = 17
    frames[:, :, :left] = frames[:, :, 80 - right :] = 17
    frames[7, :5] = 200  # a word at one moment
    assert looks(frames).box() == box


def test_a_dark_scene_with_something_in_it_is_not_barred() -> None:
    frames = scene(0, 30) // 2
    frames[:, :12] = frames[:, -12:] = 20
    assert looks(frames).box() == (13, 0, 34, 80)
    frames[:, 4, 30:50] = frames[:, -4, 10:30] = 60  # a lamp, a thing on the floor
    assert looks(frames).box() == (5, 0, 51, 80)
    frames[:, 0, 3] = frames[:, -1, 70] = 60
    assert looks(frames).box() is None


def test_joins_of_real_videos_are_found(shared_data: Callable[[str], Path]) -> None:
    videos = sorted(shared_data("jhmdb14").glob("*/*_00.mp4"))[:14] + sorted(shared_data("av_clips").glob("d*.mp4"))
    pieces = []
    for video in videos:
        frames = [
            np.asarray(cv2.resize(one.luma, (80, 60)), np.uint8)
            for one, _ in zip(decode_frames(str(video), 16), range(20), strict=False)
        ]
        pieces.append(np.stack(frames))
    ends = np.cumsum([len(piece) for piece in pieces])[:-1].tolist()
    cuts = looks(*pieces).cuts()
    assert len(set(ends) & set(cuts)) >= 0.9 * len(ends)
    assert len(set(cuts) - set(ends)) <= 1

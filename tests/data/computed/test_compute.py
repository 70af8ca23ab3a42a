"""A program sees each video in pieces that overlap, and what it returns is checked and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.compute import SCALES, VALUES, compute, parts_of_shots
from selftaught.data.store.stored_frames import StoredFrames


@dataclass(frozen=True, kw_only=True)
class Difference(Program):
    """Grey level of the next frame minus that of a frame, at half resolution."""

    name: ClassVar[str] = "difference"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "depth"
    dtype: ClassVar[type[np.int8]] = np.int8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2
    most: ClassVar[list[int]] = []

    def run(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        self.most.append(len(frames))
        grey = frames[:, ::2, ::2, :1].astype(np.float32)
        return grey[1:] - grey[:-1]


class Misshapen(Difference):
    def run(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        return frames


class Infinite(Difference):
    def run(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        return super().run(frames) * np.inf


def store(folder: Path, *videos: NDArray[np.uint8], missing: int = 0) -> StoredFrames:
    """A store of these videos (T, H, W, 3), the last frames of which cannot be read."""
    sizes = np.array([video.shape for video in videos])
    return StoredFrames(
        folder=folder,
        data="made",
        frames=sizes[:, 0],
        times=np.zeros(sizes[:, 0].sum()),
        begin=np.zeros(len(sizes)),
        box=np.zeros((len(sizes), 4), np.int64),
        last=np.isin(np.arange(sizes[:, 0].sum()), np.cumsum(sizes[:, 0]) - 1),
        height=sizes[:, 1],
        width=sizes[:, 2],
        read=lambda item: iter(videos[item][: len(videos[item]) - missing]),
        some=lambda item, numbers: {n: videos[item][n] for n in numbers if n < len(videos[item]) - missing},
    )


def squares(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Frames of one grey level each: the square of their number, modulo 200."""
    level = (np.arange(count) ** 2 % 200).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (count, height, width, 3)).copy()


def computed(folder: Path, stored: StoredFrames, program: Program) -> tuple[NDArray[np.float32], int]:
    """The real values, flat, frame after frame (all frames of one size), and how many frames were not read."""
    unread = compute(program, stored, folder, 2, None)
    scales = np.load(folder / SCALES)
    values = np.fromfile(folder / VALUES, np.int8).reshape(len(scales), -1)
    return values * scales[:, None], unread


def test_long_videos_come_in_pieces_and_every_frame_has_its_map(tmp_path: Path) -> None:
    Difference.most.clear()
    video = squares(150, 5, 6)
    values, unread = computed(tmp_path, store(tmp_path, video, video[:1], video[:66]), Difference())
    assert unread == 0
    assert values.shape == (217, 9)
    expected = np.diff(video[:, 0, 0, 0].astype(float))
    assert np.allclose(values[:149], expected[:, None])
    assert np.allclose(values[149], expected[-1])  # the last frame repeats the map of the one before it
    assert (values[150] == 0).all()
    assert np.allclose(values[151:216], expected[:65, None])
    assert max(Difference.most) == 65


def test_eight_bits_keep_values_to_half_a_step_of_the_frames_largest(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    values, _ = computed(tmp_path, store(tmp_path, video), Difference())
    true = Difference().run(video).reshape(3, -1)
    assert (np.abs(values[:3] - true) <= np.abs(true).max(1, keepdims=True) / 254 + 1e-4).all()


def test_frames_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    values, unread = computed(tmp_path, store(tmp_path, squares(6, 4, 4), missing=2), Difference())
    assert unread == 2
    assert np.allclose(values[:3, 0], [1, 3, 5])
    assert (values[4:] == 0).all()


def test_what_a_program_must_not_return_is_said(tmp_path: Path) -> None:
    stored = store(tmp_path, squares(3, 4, 6))
    with pytest.raises(ValueError, match=r"shape \(2, 2, 3, 1\) for 3 frames, got \(3, 4, 6, 3\)"):
        compute(Misshapen(), stored, tmp_path, 1, None)
    with pytest.raises(ValueError, match="not finite"), np.errstate(invalid="ignore"):
        compute(Infinite(), stored, tmp_path, 1, None)


@dataclass(frozen=True, kw_only=True)
class Shots(Program):
    """Of each frame the largest grey level among all that it is run with."""

    name: ClassVar[str] = "shots"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    shot: ClassVar[int] = 4
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.full((*frames.shape[:3], 1), frames.max(), np.uint8)


def test_a_program_of_shots_sees_no_frame_beyond_a_cut(tmp_path: Path) -> None:
    """Nine frames whose level is their number, cut after the third; the longer shot is run in two halves."""
    video = np.broadcast_to(np.arange(9, dtype=np.uint8)[:, None, None, None], (9, 4, 6, 3)).copy()
    stored = replace(store(tmp_path, video), last=np.isin(np.arange(9), (2, 8)))
    assert compute(Shots(), stored, tmp_path, 1, None) == 0
    kept = np.fromfile(tmp_path / VALUES, np.uint8).reshape(9, 4, 6)
    assert kept[:, 0, 0].tolist() == [2, 2, 2, 5, 5, 5, 8, 8, 8]


@pytest.mark.parametrize(
    ("ends", "lengths"),
    [([5], [3, 3]), ([0, 5], [1, 2, 3]), ([3], [4, 2]), ([], [3, 3])],
    ids=["one shot", "a frame alone", "two", "no end"],
)
def test_parts_of_shots(ends: list[int], lengths: list[int]) -> None:
    assert parts_of_shots(np.isin(np.arange(6), ends), 4) == lengths


def test_frames_of_a_shot_that_are_gone_have_maps_of_0(tmp_path: Path) -> None:
    video = np.full((6, 4, 6, 3), 9, np.uint8)
    assert compute(Shots(), store(tmp_path, video, missing=2), tmp_path, 1, None) == 2
    kept = np.fromfile(tmp_path / VALUES, np.uint8).reshape(6, 4, 6)
    assert kept[:, 0, 0].tolist() == [9, 9, 9, 9, 0, 0]

"""Clips of one video that passes: decoded once where its frames fit in memory, else indexed and then sought."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.video import Header, read_header, with_own_sound
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.inputs import Sound
from selftaught.data.store.clips import ClipPlan
from selftaught.data.store.video_index import VideoIndex
from selftaught.data.store.video_pack import Shard, estimated_bytes, pack_one
from selftaught.data.store.video_read import LiveVideos, PackedVideos
from selftaught.data.store.video_samples import inputs_of

if TYPE_CHECKING:
    from selftaught.data.batch import Sampling

MOST_HELD = 32 << 20
"""Bytes of the decoded frames of one video that are held at most: of longer ones every clip is decoded again."""


@dataclass(frozen=True, kw_only=True)
class PassedClips:
    """K clips of one video.

    Attributes:
        inputs: by name, (K, ...) as of `store.samples.HostBatch`.
        time: (K,) float32, seconds of the moments.
        note: what of the video is not used, and why; "" where all of it is.
    """

    inputs: Mapping[str, NDArray[Any]]
    time: NDArray[np.float32]
    note: str


def clips_of(
    video: EncodedVideo | FrameSequence, sampling: Sampling, draws: NDArray[np.float64], *, side: int
) -> PassedClips:
    """The clips that a packed store of the video gives for `draws` (K, D).

    Where `sampling` asks for several of each video, they are moved `sampling.min_gap` seconds apart.

    Raises:
        Unreadable: where the video cannot be decoded, or is too short or silent for the sampling.
    """
    video = with_own_sound(video) if isinstance(video, EncodedVideo) else video
    header = header_for(read_header(video), sampling)
    index, videos, note, is_silent = _held(video, header, side) or _sought(video, header, side)
    plan = ClipPlan(index, sampling, silent=np.array([is_silent]))
    if plan.unusable:
        raise Unreadable(plan.unusable[0])
    count, row = len(draws), np.zeros(len(draws), np.int64)
    if sampling.clips_per_video > 1:
        draws = draws.copy()
        draws[:, 2] = plan.spread(row, draws[:, 2], sampling.min_gap)
    places = [plan.at(0, drawn) for drawn in draws]
    frames = np.empty((count, plan.num_frames, side, side, 3), np.uint8)
    sound = np.zeros((count, plan.num_samples), np.int16)
    if videos.fill(row, places, draws[:, :2].tolist(), frames, sound if plan.num_samples else None):
        raise Unreadable("its frames are others when they are decoded again")
    time = np.array([place.middle for place in places], np.float32)
    return PassedClips(inputs=inputs_of(plan, frames, sound), time=time, note=note or "")


def header_for(header: Header, sampling: Sampling) -> Header:
    """The header as of a video without sound where none is asked for, so that it is not decoded."""
    if any(isinstance(one, Sound) for one in sampling.inputs.values()):
        return header
    return replace(header, has_sound=False, sound_seconds=0.0)


class _TooLarge(Exception):  # noqa: N818 - no error
    """A video is longer than its header says."""


class _HeldShard(Shard):
    """A pair of files in memory."""

    def __init__(self) -> None:
        super().__init__(0, None, ExitStack())
        self.frames, self.sound = io.BytesIO(), io.BytesIO()

    def add_frame(self, frame: NDArray[np.uint8]) -> int:
        if self.position[0] > 2 * MOST_HELD:
            raise _TooLarge
        return super().add_frame(frame)

    @property
    def content(self) -> tuple[memoryview, memoryview]:
        """The bytes of both."""
        assert isinstance(self.frames, io.BytesIO)
        assert isinstance(self.sound, io.BytesIO)
        return self.frames.getbuffer(), self.sound.getbuffer()


_Found = tuple[VideoIndex, "PackedVideos | LiveVideos", "str | None", bool]


def _held(video: EncodedVideo | FrameSequence, header: Header, side: int) -> _Found | None:
    """A video whose frames are in memory; None where they would be too many."""
    if estimated_bytes([header], side) > MOST_HELD:
        return None
    shard = _HeldShard()
    try:
        index, note, is_silent = pack_one(video, header, side=side, shard=shard)
    except _TooLarge:
        return None
    return index, PackedVideos(index, shard.content, side), note, is_silent


def _sought(video: EncodedVideo | FrameSequence, header: Header, side: int) -> _Found:
    index, note, is_silent = pack_one(video, header, side=side, shard=Shard(0, None, ExitStack()))
    return index, LiveVideos(index, [video], side, 1), note, is_silent

"""Frames and sound of clips: from the packed files at memory speed, or from the videos themselves by seeking."""

from __future__ import annotations

import heapq
import mmap
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.decode import Unreadable
from selftaught.image_store import give_way
from selftaught.video_clips import Clip, VideoIndex, nearest
from selftaught.video_decode import Shrink, clean_frames, decode_sound, first_video_stream, opened
from selftaught.video_pack import FRAMES, SOUND

_DROP_AFTER = 256 << 20
"""Bytes read between two releases of the mapped pages."""
_REORDER = 4
"""Frames decoded beyond the last wanted one, so that times which the container swaps have all arrived."""


class PackedVideos:
    """The packed files of a store, memory mapped."""

    def __init__(self, index: VideoIndex, folder: Path, side: int) -> None:
        self.side = side
        self._index = index
        shards = range(int(index.shard.max()) + 1)
        self._frames = [_Mapped(folder / FRAMES.format(k)) for k in shards]
        self._sound = [_Mapped(folder / SOUND.format(k)) for k in shards]

    def fill(
        self,
        videos: NDArray[np.int64],
        clips: Sequence[Clip],
        corners: Sequence[tuple[int, int]],
        frames: NDArray[np.uint8],
        sound: NDArray[np.int16] | None,
    ) -> list[int]:
        """Write each clip's window, at (top, left), into frames (N, T, side, side, 3) and its sound into (N, S).

        Returns the n that could not be read.
        """
        index, side = self._index, self.side
        for n, (video, clip, (top, left)) in enumerate(zip(videos, clips, corners, strict=True)):
            shape = (int(index.frames[video]), int(index.height[video]), int(index.width[video]), 3)
            shard = int(index.shard[video])
            stored = self._frames[shard].part(int(index.frame_offset[video]), int(np.prod(shape))).reshape(shape)
            for t, frame in enumerate(clip.frames):
                frames[n, t] = stored[frame, top : top + side, left : left + side]
            self._frames[shard].used(frames[n].nbytes)
            if sound is not None:
                size = 2 * int(index.sound_samples[video])
                track = self._sound[shard].part(int(index.sound_offset[video]), size).view(np.int16)
                copy_window(track, clip.sound_first, sound[n])
        return []


class LiveVideos:
    """Videos that are decoded each time, in threads that give way to the computing ones."""

    def __init__(self, index: VideoIndex, paths: Sequence[str], side: int, workers: int) -> None:
        self.side = side
        self._index = index
        self._paths = paths
        self._first = np.concatenate([[0], np.cumsum(index.frames)])
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="selftaught-decode", initializer=give_way)

    def fill(
        self,
        videos: NDArray[np.int64],
        clips: Sequence[Clip],
        corners: Sequence[tuple[int, int]],
        frames: NDArray[np.uint8],
        sound: NDArray[np.int16] | None,
    ) -> list[int]:
        """As `PackedVideos.fill`, with the same result."""

        def one(n: int) -> bool:
            video = int(videos[n])
            top, left = corners[n]
            found = self._decode(video, set(clips[n].frames.tolist()))
            for t, frame in enumerate(clips[n].frames.tolist()):
                if frame not in found:
                    return False
                frames[n, t] = found[frame][top : top + self.side, left : left + self.side]
            if sound is not None:
                self._listen(video, clips[n].sound_first, sound[n])
            return True

        return [n for n, read in enumerate(self._pool.map(one, range(len(videos)))) if not read]

    def _decode(self, video: int, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
        times = self._index.times[self._first[video] : self._first[video + 1]]
        return frames_at(self._paths[video], times, float(self._index.begin[video]), wanted, self.side)

    def _listen(self, video: int, first: int, out: NDArray[np.int16]) -> None:
        pieces: list[NDArray[np.int16]] = []
        heard = 0
        with suppress(Unreadable):
            for _, piece in decode_sound(self._paths[video]):
                pieces.append(piece)
                heard += len(piece)
                if heard >= first + len(out):
                    break
        if pieces:
            copy_window(np.concatenate(pieces), first, out)


def frames_at(
    path: str, times: NDArray[np.float64], begin: float, wanted: set[int], side: int
) -> dict[int, NDArray[np.uint8]]:
    """The frames `wanted`, by number, of a video whose frames are shown at `times` after `begin`, in seconds.

    Seeks to the key frame before the first; where the container lands too late, reads from the start.
    """
    found: dict[int, NDArray[np.uint8]] = {}
    for seek in (True, False) if min(wanted) > _REORDER else (False,):
        with suppress(Unreadable), opened(path) as container:
            stream = first_video_stream(container)
            if seek:
                target = begin + times[min(wanted) - _REORDER]
                container.seek(int(target / stream.time_base), stream=stream)
            shrink = Shrink(side, stream)
            for count, (time, frame) in enumerate(_in_order(clean_frames(container, stream))):
                number = int(nearest(times, np.array([time - begin]))[0]) if seek else count
                if number in wanted:
                    found[number] = shrink(frame)
                if number >= max(wanted):
                    break
        if len(found) == len(wanted):
            break
    return found


def _in_order(decoded: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    """Frames with their own times: the k-th frame that is shown has the k-th smallest time (see `decode_frames`)."""
    times: list[float] = []
    frames: deque[Any] = deque()
    try:
        for time, frame in decoded:
            heapq.heappush(times, time)
            frames.append(frame)
            if len(frames) > _REORDER:
                yield heapq.heappop(times), frames.popleft()
    except Unreadable:
        # Damage ends a video; the frames before it are good, here as in the packed store.
        pass
    while frames:
        yield heapq.heappop(times), frames.popleft()


def copy_window(track: NDArray[np.int16], first: int, out: NDArray[np.int16]) -> None:
    """Samples first ... first + S - 1 of a track into `out` (S,), with silence where the track has none."""
    out[:] = 0
    start, stop = max(0, first), min(len(track), first + len(out))
    if start < stop:
        out[start - first : stop - first] = track[start:stop]


class _Mapped:
    """A read-only memory-mapped file that lets go of its pages, so that memory stays flat in the size of the data."""

    def __init__(self, file: Path) -> None:
        self._map: mmap.mmap | None = None
        self._bytes = np.zeros(0, np.uint8)
        self._used = 0
        self._lock = threading.Lock()
        if file.stat().st_size:
            with file.open("rb") as opened_file:
                self._map = mmap.mmap(opened_file.fileno(), 0, access=mmap.ACCESS_READ)
            self._bytes = np.frombuffer(self._map, np.uint8)

    def part(self, start: int, size: int) -> NDArray[np.uint8]:
        return self._bytes[start : start + size]

    def used(self, size: int) -> None:
        """Count bytes read; the pages stay in the system's cache when they are let go."""
        with self._lock:
            self._used += size
            if self._used < _DROP_AFTER:
                return
            self._used = 0
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

"""Frames and sound of clips: from the packed files at memory speed, or from the videos themselves by seeking."""

from __future__ import annotations

import heapq
import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.threads import give_way
from selftaught.data.decode.fit import window
from selftaught.data.decode.frame_pixels import luma
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import decode_image
from selftaught.data.decode.video import Box, Shrink, Video, decode_sound, first_video_stream, opened
from selftaught.data.decode.video_frames import CleanFrames, decode_frames, fit_box, seal_of
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.store.clips import Place, nearest
from selftaught.data.store.video_index import VideoIndex
from selftaught.data.store.video_pack import FRAMES, SOUND

_REORDER = 4
"""Frames decoded beyond the last wanted one, so that times which the container swaps have all arrived."""
_FURTHER = 64
"""Frames before the first wanted one to seek to where a nearer place failed: there the container's times are wrong."""


class PackedVideos:
    """The packed files of a store, read by offset for the reasons that `image_store.PackedImages` gives.

    Frames kept as JPEG are decoded by `workers` threads.
    """

    def __init__(
        self,
        index: VideoIndex,
        place: Path | tuple[memoryview, memoryview],
        side: int,
        *,
        is_jpeg: bool = False,
        workers: int = 1,
    ) -> None:
        """`place` is the folder of the store, or the frames and the sound of its one pair of files in memory."""
        self.side = side
        self._index = index
        self._place, self._is_jpeg = index.place, is_jpeg
        self._first = np.concatenate([[0], np.cumsum(index.frames)])
        self._frames: Sequence[_PackedFile | _HeldFile]
        self._sound: Sequence[_PackedFile | _HeldFile]
        if isinstance(place, Path):
            shards = range(int(index.shard.max(initial=-1)) + 1)
            self._frames = [_PackedFile(place / FRAMES.format(k)) for k in shards]
            self._sound = [_PackedFile(place / SOUND.format(k)) for k in shards]
        else:
            self._frames, self._sound = [_HeldFile(place[0])], [_HeldFile(place[1])]
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="selftaught-decode", initializer=give_way)

    def fill(
        self,
        videos: NDArray[np.int64],
        clips: Sequence[Place],
        places: Sequence[Sequence[float]],
        frames: NDArray[np.uint8],
        sound: NDArray[np.int16] | None,
    ) -> list[int]:
        """Write each clip's window into frames (N, T, side, side, 3) and its sound into (N, S).

        `places` are the windows' relative (y, x), each in [0, 1). Returns the n that could not be read.
        """

        def one(n: int) -> None:
            video, (y, x) = int(videos[n]), places[n]
            stored = self._memory(video)
            for t, frame in enumerate(clips[n].frames.tolist()):
                frames[n, t] = window(self._frame(video, frame, stored), side=self.side, y=y, x=x)
            if sound is not None:
                self._copy_sound(video, clips[n].sound_first, sound[n])

        for _ in (self._pool.map if self._is_jpeg else map)(one, range(len(videos))):
            pass
        return []

    def whole(self, video: int) -> Iterator[NDArray[np.uint8]]:
        """Every frame of a video in order, (H, W, 3)."""
        for number in range(int(self._index.frames[video])):
            yield self._frame(video, number, self._memory(video))

    def some(self, video: int, numbers: Set[int]) -> dict[int, NDArray[np.uint8]]:
        """The frames (H, W, 3) of these numbers."""
        return {number: self._frame(video, number, self._memory(video)) for number in numbers}

    def _memory(self, video: int) -> NDArray[np.uint8]:
        return np.empty((int(self._index.height[video]), int(self._index.width[video]), 3), np.uint8)

    def _frame(self, video: int, number: int, out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3), which may be in the memory `out`."""
        at, file = int(self._first[video]) + number, self._frames[int(self._index.shard[video])]
        if not self._is_jpeg:
            file.read(out, int(self._place[at]))
            return out
        data = np.empty(int(self._index.length[at]), np.uint8)
        file.read(data, int(self._place[at]))
        try:
            return decode_image(data.tobytes(), upright=False)
        except Unreadable as unreadable:
            raise file.damaged() from unreadable

    def _copy_sound(self, video: int, first: int, out: NDArray[np.int16]) -> None:
        """Samples first ... first + S - 1 into `out` (S,), which is silent where the track has none."""
        index = self._index
        start, stop = max(0, first), min(int(index.sound_samples[video]), first + len(out))
        if start < stop:
            heard = out[start - first : stop - first]
            self._sound[int(index.shard[video])].read(heard, int(index.sound_offset[video]) + 2 * start)


class LiveVideos:
    """Videos that are decoded each time, in threads that give way to the computing ones."""

    def __init__(self, index: VideoIndex, sources: Sequence[Video], side: int, workers: int) -> None:
        self.side = side
        self._index = index
        self._sources = sources
        self._first = np.concatenate([[0], np.cumsum(index.frames)])
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="selftaught-decode", initializer=give_way)

    def fill(
        self,
        videos: NDArray[np.int64],
        clips: Sequence[Place],
        places: Sequence[Sequence[float]],
        frames: NDArray[np.uint8],
        sound: NDArray[np.int16] | None,
    ) -> list[int]:
        """As `PackedVideos.fill`, with the same result."""

        def one(n: int) -> bool:
            video = int(videos[n])
            y, x = places[n]
            found = self._decode(video, set(clips[n].frames.tolist()))
            for t, frame in enumerate(clips[n].frames.tolist()):
                if frame not in found:
                    return False
                frames[n, t] = window(found[frame], side=self.side, y=y, x=x)
            if sound is not None:
                self._listen(video, clips[n].sound_first, sound[n])
            return True

        return [n for n, read in enumerate(self._pool.map(one, range(len(videos)))) if not read]

    def whole(self, video: int) -> Iterator[NDArray[np.uint8]]:
        """As `PackedVideos.whole`; fewer frames where the file broke or went since it was indexed."""
        with suppress(Unreadable):
            decoded = decode_frames(self._sources[video], self.side, box=self._box(video))
            yield from (one.image for one in islice(decoded, int(self._index.frames[video])))

    def some(self, video: int, numbers: Set[int]) -> dict[int, NDArray[np.uint8]]:
        """As `PackedVideos.some`, without the frames that cannot be read any more."""
        return self._decode(video, set(numbers))

    def _decode(self, video: int, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
        own = slice(self._first[video], self._first[video + 1])
        times, seals = self._index.times[own], self._index.seal[own]
        begin, box = float(self._index.begin[video]), self._box(video)
        return frames_at(self._sources[video], times, seals, begin=begin, wanted=wanted, side=self.side, box=box)

    def _box(self, video: int) -> Box | None:
        top, left, height, width = self._index.box[video].tolist()
        return (top, left, height, width) if height else None

    def _listen(self, video: int, first: int, out: NDArray[np.int16]) -> None:
        pieces: list[NDArray[np.int16]] = []
        heard = 0
        with suppress(Unreadable):
            for _, piece in decode_sound(self._sources[video]):
                pieces.append(piece)
                heard += len(piece)
                if heard >= first + len(out):
                    break
        track = np.concatenate([np.zeros(0, np.int16), *pieces])[max(0, first) : max(0, first + len(out))]
        out[max(0, -first) : max(0, -first) + len(track)] = track


def frames_at(
    video: Video,
    times: NDArray[np.float64],
    seals: NDArray[np.int64],
    *,
    begin: float,
    wanted: Set[int],
    side: int,
    box: Box | None = None,
) -> dict[int, NDArray[np.uint8]]:
    """The frames `wanted`, by number, of a video whose frames are shown at `times` after `begin`, in seconds.

    Seeks to a key frame before the first and takes what has the frame's seal: after a seek a container may state wrong
    times, and a decoder may show what it predicts from frames it has not seen. What is then missing is counted from
    the start of the file.
    """
    found: dict[int, NDArray[np.uint8]] = {}
    if isinstance(video, FrameSequence):
        shown = video.at(begin + times[number] for number in sorted(wanted))
        good = ((n, frame) for n, frame in zip(sorted(wanted), shown, strict=True) if isinstance(frame, np.ndarray))
        return {number: fit_box(frame, side, box) for number, frame in good}
    for back in (_REORDER, _FURTHER):
        first = min(wanted - found.keys(), default=0) - back
        if first > 0:
            with suppress(Unreadable), opened(video) as container:
                stream = first_video_stream(container)
                container.seek(int((begin + times[first]) / stream.time_base), stream=stream)
                shrink = Shrink(side, stream, box)
                for time, frame in _in_order(CleanFrames(container, stream)):
                    number = int(nearest(times, np.array([time - begin]))[0])
                    if number in wanted and number not in found and seal_of(luma(frame)[0]) == seals[number]:
                        found[number] = shrink(frame)
                    if number >= max(wanted):
                        break
    if found.keys() != set(wanted):
        with suppress(Unreadable), opened(video) as container:
            stream = first_video_stream(container)
            shrink = Shrink(side, stream, box)
            for number, (frame, *_) in enumerate(islice(CleanFrames(container, stream), max(wanted) + 1)):
                if number in wanted:
                    found[number] = shrink(frame)
    return found


def _in_order(decoded: Iterable[tuple[Any, float | None, bool]]) -> Iterator[tuple[float, Any]]:
    """Frames with their own times: the k-th frame that is shown has the k-th smallest time (see `decode_frames`).

    Ends before a frame without a time.
    """
    times: list[float] = []
    frames: deque[Any] = deque()
    for frame, time, _ in decoded:
        if time is None:
            break
        heapq.heappush(times, time)
        frames.append(frame)
        if len(frames) > _REORDER:
            yield heapq.heappop(times), frames.popleft()
    while frames:
        yield heapq.heappop(times), frames.popleft()


class _PackedFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, out: NDArray[np.uint8] | NDArray[np.int16], start: int) -> None:
        if os.preadv(self._file, [out.data], start) != out.nbytes:
            raise self.damaged()

    def damaged(self) -> ValueError:
        return ValueError(f"the packed store {self._path.parent} is damaged; remove it with `selftaught cache --clear`")


class _HeldFile:
    """As `_PackedFile`, of bytes in memory."""

    def __init__(self, content: memoryview) -> None:
        self._content = content

    def read(self, out: NDArray[np.uint8] | NDArray[np.int16], start: int) -> None:
        out.data.cast("B")[:] = self._content[start : start + out.nbytes]

    def damaged(self) -> ValueError:
        return ValueError("frames in memory are damaged")

"""Maps of frames, read in the samples' windows: of any origin, or computed each time they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.threads import give_way
from selftaught.data.computed.base import Maps, Program
from selftaught.data.computed.compute import Layout, kept, results
from selftaught.data.decode.fit import window
from selftaught.data.store.clips import nearest
from selftaught.data.store.image_pack import one_opencv_thread
from selftaught.data.store.stored_frames import StoredFrames


class FrameMaps(ABC):
    """The maps of a program, aligned with the frames of samples.

    Attributes:
        program: what computes them.
        key: changes when their values do.
        side: pixels of the square windows that are read, those of the samples.
        note: what people should know about how they are read; "" for nothing.
    """

    def __init__(self, program: Program, stored: StoredFrames, items: NDArray[np.int64], side: int, key: str) -> None:
        self.program = program
        self.key = key
        self.side = side
        self.note = ""
        self._stored, self._items = stored, items
        self._layout = Layout(program, stored)
        self._first = stored.first

    def read(self, rows: NDArray[np.int64], frames: NDArray[np.int64], places: NDArray[np.float64]) -> Maps:
        """The maps of frames, in the windows of the samples: those that `Samples.read` cuts by the same draws.

        Where a program reads two frames, the map of the last frame before a cut, before damage or of a video is that of
        the one before it.

        Args:
            rows: (N,) of the samples.
            frames: (N, T) numbers of frames in each row's video; 0 for an image.
            places: (N, 2) relative (y, x) of the window in [0, 1); further columns are ignored.

        Returns:
            (N, T, side, side, channels): float32 where int8 is kept, interpolated; else of `dtype`, the nearest value.
        """
        count, length = frames.shape
        dtype = np.float32 if self.program.dtype is np.int8 else self.program.dtype
        out = np.empty((count, length, self.side, self.side, self.program.channels), dtype)

        def fill(n: int) -> None:
            y, x = places[n, :2].tolist()
            item = int(self._items[rows[n]])
            if not 0 <= frames[n].min() <= frames[n].max() < self._stored.frames[item]:
                raise IndexError(f"frames {frames[n].tolist()} of a video of {self._stored.frames[item]} frames")
            for t, (values, scale) in enumerate(self._stored_maps(item, self._inside(item, frames[n]))):
                out[n, t] = window(self._whole(item, values, scale), side=self.side, y=y, x=x)

        self._each(fill, count)
        return out

    def _inside(self, item: int, frames: NDArray[np.int64]) -> list[int]:
        """The frames whose maps are those of `frames`: no map reaches beyond a cut."""
        own = self._stored.last[self._first[item] : self._first[item + 1]]
        moved = own[frames] & (frames > 0) & ~own[np.maximum(frames, 1) - 1]
        return list((frames - (moved & (self.program.reads > 1))).tolist())

    def at(self, rows: NDArray[np.int64], seconds: NDArray[np.float64], places: NDArray[np.float64]) -> Maps:
        """As `read`, of the frames nearest to `seconds` (N, T), counted from the first frame of each row's video."""
        frames = np.empty(seconds.shape, np.int64)
        for n, item in enumerate(self._items[rows].tolist()):
            frames[n] = nearest(self._stored.times[self._first[item] : self._first[item + 1]], seconds[n])
        return self.read(rows, frames, places)

    @abstractmethod
    def _stored_maps(self, item: int, frames: Sequence[int]) -> list[tuple[Maps, float]]:
        """The map of each frame, (h, w, channels) of `dtype`, and the scale by which int8 is multiplied."""

    def _each(self, fill: Callable[[int], None], count: int) -> None:
        for n in range(count):
            fill(n)

    def _whole(self, item: int, values: Maps, scale: float) -> Maps:
        """A map at the size of its frame, (H, W, channels)."""
        is_scaled = self.program.dtype is np.int8
        values = values * np.float32(scale) if is_scaled else values
        height, width = int(self._stored.height[item]), int(self._stored.width[item])
        return _enlarged(values, self.program.step, height, width, smooth=is_scaled)


class LiveMaps(FrameMaps):
    """Maps that are computed each time they are read, with the values of those that are kept.

    Of a frame that cannot be read any more the map is 0.
    """

    def __init__(
        self,
        program: Program,
        stored: StoredFrames,
        items: NDArray[np.int64],
        side: int,
        key: str,
        workers: int | ThreadPoolExecutor,
    ) -> None:
        super().__init__(program, stored, items, side, key)
        self._pool = computing_threads(workers) if isinstance(workers, int) else workers

    def _each(self, fill: Callable[[int], None], count: int) -> None:
        with one_opencv_thread():  # OpenCV's flow depends on the number of its threads
            list(self._pool.map(fill, range(count)))

    def _stored_maps(self, item: int, frames: Sequence[int]) -> list[tuple[Maps, float]]:
        count = int(self._stored.frames[item])
        wanted = [min(frame, max(0, count - self.program.reads)) for frame in frames]
        read = {frame + k for frame in wanted for k in range(self.program.reads)}
        found = self._stored.some(item, {frame for frame in read if frame < count})
        size = self._layout.size(item)
        known: dict[int, tuple[Maps, float]] = {}
        for frame in sorted(set(wanted)):
            piece = [found[frame + k] for k in range(self.program.reads) if frame + k in found]
            last = np.zeros(len(piece), np.bool_)
            found_maps = results(self.program, iter(piece), size, last)
            maps = next(found_maps, None) if len(piece) == self.program.reads else None
            if maps is None:
                dtype = np.float32 if self.program.dtype is np.int8 else self.program.dtype
                maps = np.zeros((1, *size, self.program.channels), dtype)
            values, scales = kept(self.program, maps[:1])
            known[frame] = values[0], float(scales[0])
        return [known[frame] for frame in wanted]


def computing_threads(workers: int) -> ThreadPoolExecutor:
    """Threads that compute maps as they are read, and leave the cores to training where it wants them."""
    return ThreadPoolExecutor(workers, thread_name_prefix="selftaught-compute", initializer=give_way)


def _enlarged(values: Maps, step: int, height: int, width: int, *, smooth: bool) -> Maps:
    """A map (h, w, C) at `step` times its size, cut to (height, width, C)."""
    if step == 1:
        return values
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    # By the step and not to the size: the map of an odd size has half a pixel that stands beyond the frame.
    larger = cv2.resize(values, (step * values.shape[1], step * values.shape[0]), interpolation=how)
    return larger.reshape(*larger.shape[:2], values.shape[2])[:height, :width]

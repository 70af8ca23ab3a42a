"""The maps that a program computed of samples: found in the cache or computed, and read in the samples' windows."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.progress import late_bar, say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.core.threads import usable_cores
from selftaught.data.computed.base import Maps, Program
from selftaught.data.computed.compute import SCALES, VALUES, Layout, compute
from selftaught.data.decode.fit import window
from selftaught.data.store.cache import DAMAGE, drop_damaged, find_or_build, find_store
from selftaught.data.store.clips import nearest
from selftaught.data.store.samples import Progress, Samples
from selftaught.data.store.store_care import copy_origin, disk_may_be_full, make_room
from selftaught.data.store.stored_frames import StoredFrames, stored_of

_FORMAT = "1"
"""Raise it when the bytes of what is kept change."""


class ComputedMaps:
    """The maps that a program computed of samples, aligned with their frames.

    Attributes:
        program: what computed them.
        key: of the maps in the cache.
        side: pixels of the square windows that are read, those of the samples.
        unread: how many frames could not be read when the maps were computed; theirs are 0.
    """

    def __init__(
        self, program: Program, stored: StoredFrames, items: NDArray[np.int64], side: int, folder: Path, unread: int
    ) -> None:
        self.program = program
        self.key = folder.name
        self.side = side
        self.unread = unread
        self._stored, self._items = stored, items
        self._layout = Layout(program, stored)
        self._first = stored.first
        self._scales = np.load(folder / SCALES, allow_pickle=False)
        if self._scales.shape != (self._first[-1],) or (folder / VALUES).stat().st_size != self._layout.bytes:
            raise ValueError("the maps are not all there")
        self._file = os.open(folder / VALUES, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, rows: NDArray[np.int64], frames: NDArray[np.int64], places: NDArray[np.float64]) -> Maps:
        """The maps of frames, in the windows of the samples: those that `Samples.read` cuts by the same draws.

        Where a program reads two frames, the map of the last frame of a video is that of the one before it.

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
        for n, (item, (y, x)) in enumerate(zip(self._items[rows].tolist(), places[:, :2].tolist(), strict=True)):
            for t, frame in enumerate(frames[n].tolist()):
                out[n, t] = window(self._whole(item, frame), side=self.side, y=y, x=x)
        return out

    def at(self, rows: NDArray[np.int64], seconds: NDArray[np.float64], places: NDArray[np.float64]) -> Maps:
        """As `read`, of the frames nearest to `seconds` (N, T), counted from the first frame of each row's video."""
        frames = np.empty(seconds.shape, np.int64)
        for n, item in enumerate(self._items[rows].tolist()):
            frames[n] = nearest(self._stored.times[self._first[item] : self._first[item + 1]], seconds[n])
        return self.read(rows, frames, places)

    def _whole(self, item: int, frame: int) -> Maps:
        """The map of a frame at the size of the frame, (H, W, channels)."""
        if not 0 <= frame < self._stored.frames[item]:
            raise IndexError(f"frame {frame} of a video of {self._stored.frames[item]} frames")
        stored = np.empty((*self._layout.size(item), self.program.channels), self.program.dtype)
        start = self._layout.start(item) + frame * stored.nbytes
        if os.preadv(self._file, [stored.data], start) != stored.nbytes:
            raise OSError(f"the {self.program.name} of {self._stored.data} was cut short while it was read")
        is_scaled = self.program.dtype is np.int8
        values = stored * np.float32(self._scales[self._first[item] + frame]) if is_scaled else stored
        height, width = int(self._stored.height[item]), int(self._stored.width[item])
        return _enlarged(values, self.program.step, height, width, smooth=is_scaled)


def open_computed(
    program: Program,
    samples: Samples,
    *,
    cache_limit_gb: float,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ComputedMaps:
    """Find or compute the maps of all frames of the store that `samples` are read from.

    Args:
        program: what computes them.
        samples: of images or videos.
        cache_limit_gb: maps that would be larger are refused.
        workers: threads; None is all cores.
        progress: called with (done, total) videos or images while they are computed.

    Raises:
        ValueError: where the program reads two frames and the samples are images, where the maps would exceed the
            limit or the disk, and where the program returns what it must not.
    """
    stored, items = stored_of(samples)
    if program.reads > 1 and stored.frames.max(initial=1) == 1:
        raise ValueError(
            f"{program.name} is computed from {program.reads} frames of a video, but {stored.data} holds images; "
            "give a folder of videos"
        )
    key = digest(["computed", _FORMAT, stored.folder.name, program.name, str(program.version), program.settings()])
    found = find_store(key)
    if found is not None:
        try:
            return ComputedMaps(program, stored, items, samples.side, found[0], found[1]["unread"])
        except DAMAGE:
            drop_damaged(found[0])
    folder, meta = _build(program, stored, key, samples.side, cache_limit_gb * 1e9, workers, progress)
    if meta["unread"]:
        say_once(f"{program.name}: {meta['unread']} frames of {stored.data} cannot be read any more; their maps are 0")
    return ComputedMaps(program, stored, items, samples.side, folder, meta["unread"])


def pack_maps(
    program: Program, samples: Samples, data: DataSettings, *, title: str, is_shown: bool = True
) -> ComputedMaps:
    """`open_computed` as a run does it, with a progress bar where the maps are not there yet."""
    with late_bar(title, is_shown=is_shown) as progress:
        return open_computed(program, samples, cache_limit_gb=data.cache_limit, workers=data.workers, progress=progress)


def _build(
    program: Program,
    stored: StoredFrames,
    key: str,
    side: int,
    limit: float,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Path, dict[str, Any]]:
    size = Layout(program, stored).bytes
    what = f"the {program.name} of {stored.data}"
    if size > limit:
        raise ValueError(f"{what} needs {size / 1e9:.3g} GB, more than --cache-limit {limit / 1e9:g}; raise that limit")
    make_room(size, limit, keep=key)

    def build(folder: Path) -> dict[str, Any]:
        unread = compute(program, stored, folder, workers or usable_cores(), progress)
        return {
            "kind": program.name,
            "data": stored.data,
            "samples": len(stored),
            "side": side,
            "unread": unread,
            **copy_origin(stored.folder, folder),
        }

    with disk_may_be_full(what, size, "remove stores with `selftaught cache --clear`"):
        return find_or_build(key, build)


def _enlarged(values: Maps, step: int, height: int, width: int, *, smooth: bool) -> Maps:
    """A map (h, w, C) at `step` times its size, cut to (height, width, C)."""
    if step == 1:
        return values
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    # By the step and not to the size: the map of an odd size has half a pixel that stands beyond the frame.
    larger = cv2.resize(values, (step * values.shape[1], step * values.shape[0]), interpolation=how)
    return larger.reshape(*larger.shape[:2], values.shape[2])[:height, :width]

"""A program is run over all frames of a store by several threads, and its maps are written one behind the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Maps, Program
from selftaught.data.store.image_pack import one_opencv_thread
from selftaught.data.store.samples import Progress
from selftaught.data.store.stored_frames import StoredFrames

VALUES, SCALES = "values.bin", "scales.npy"
_PIECE = 64
"""Maps that a program computes at once: a long video must not be in memory whole."""


class Layout:
    """Where the maps of each item stand in the file."""

    def __init__(self, program: Program, stored: StoredFrames) -> None:
        self._height, self._width = program.map_size(stored.height, stored.width)
        one = self._height * self._width * program.channels * np.dtype(program.dtype).itemsize
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(one * stored.frames)])

    @property
    def bytes(self) -> int:
        return int(self._starts[-1])

    def start(self, item: int) -> int:
        return int(self._starts[item])

    def size(self, item: int) -> tuple[int, int]:
        return int(self._height[item]), int(self._width[item])


def compute(program: Program, stored: StoredFrames, folder: Path, workers: int, progress: Progress | None) -> int:
    """Run the program over every item and write the maps; how many frames could not be read."""
    layout, first = Layout(program, stored), stored.first
    scales = np.zeros(first[-1], np.float32)

    def one(item: int) -> int:
        start, done = layout.start(item), 0
        own_last = stored.last[first[item] : first[item + 1]]
        for values in results(program, stored.read(item), layout.size(item), own_last):
            maps, own = kept(program, values)
            scales[first[item] + done : first[item] + done + len(maps)] = own
            os.pwrite(file, maps.data, start)
            start, done = start + maps.nbytes, done + len(maps)
        return int(stored.frames[item]) - done

    file = os.open(folder / VALUES, os.O_WRONLY | os.O_CREAT)
    try:
        os.truncate(file, layout.bytes)
        with one_opencv_thread(), ThreadPoolExecutor(workers, thread_name_prefix="selftaught-compute") as pool:
            futures = [pool.submit(one, item) for item in range(len(stored))]
            try:
                unread = 0
                for done, future in enumerate(as_completed(futures), 1):
                    unread += future.result()
                    if progress is not None:
                        progress(done, len(stored))
            finally:
                for future in futures:
                    future.cancel()
    finally:
        os.close(file)
    np.save(folder / SCALES, scales)
    return unread


def results(
    program: Program, frames: Iterator[NDArray[np.uint8]], size: tuple[int, int], last: NDArray[np.bool_]
) -> Iterator[Maps]:
    """Maps (K, h, w, channels) of an item piece by piece, one for each of its frames together.

    `last` (T,) says of each of its frames whether it is the last one of a shot.
    """
    if program.shot:
        for length in parts_of_shots(last, program.shot):
            part = list(islice(frames, length))
            if part:  # fewer where the file has changed since
                yield _checked(program, part, size)
        return
    overlap = program.reads - 1
    piece: list[NDArray[np.uint8]] = []
    latest: Maps | None = None
    for frame in frames:
        piece.append(frame)
        if len(piece) == _PIECE + overlap:
            latest = _checked(program, piece, size)
            yield latest
            piece = piece[_PIECE:]
    if len(piece) > overlap:
        latest = _checked(program, piece, size)
        yield latest
    if overlap and latest is not None:
        yield latest[-1:]
    elif overlap and piece:  # a video of one frame: nothing is known of its motion
        yield np.zeros((1, *size, program.channels), np.float32 if program.dtype is np.int8 else program.dtype)


def parts_of_shots(last: NDArray[np.bool_], most: int) -> list[int]:
    """Lengths of consecutive parts of a video, none longer than `most` or with frames of two shots.

    `last` (T,) says of each frame whether it is the last one of a shot.
    """
    ends = np.unique(np.append(np.flatnonzero(last) + 1, len(last)))
    lengths: list[int] = []
    for length in np.diff(ends, prepend=0).tolist():
        count = -(-length // most)
        lengths += [(k + 1) * length // count - k * length // count for k in range(count)]
    return lengths


def _checked(program: Program, piece: list[NDArray[np.uint8]], size: tuple[int, int]) -> Maps:
    values = program.run(np.stack(piece))
    wanted = (len(piece) - program.reads + 1, *size, program.channels)
    if values.shape != wanted:
        raise ValueError(
            f"{program.name} must return an array of shape {wanted} for {len(piece)} frames, got {values.shape}; "
            "correct its run(), or its reads, step and channels"
        )
    return values


def kept(program: Program, values: Maps) -> tuple[Maps, NDArray[np.float32]]:
    """Maps (K, h, w, channels) as they are kept, and the scale (K,) of each."""
    if program.dtype is not np.int8:
        return np.ascontiguousarray(values, program.dtype), np.ones(len(values), np.float32)
    flat = values.reshape(len(values), -1)
    scale = (np.maximum(flat.max(axis=1), -flat.min(axis=1)) / 127).astype(np.float32)
    if not np.isfinite(scale).all():
        raise ValueError(f"{program.name} returned values that are not finite; correct its run()")
    # A frame whose values are all 0 has no scale.
    steps = values / np.where(scale > 0, scale, np.float32(1))[:, None, None, None]
    return np.rint(steps, out=steps).astype(np.int8), scale

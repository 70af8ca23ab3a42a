"""Packing: every picture of a source decoded once, by all cores, into one flat file and a small index."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from selftaught.decode import MIN_SIDE, image_size
from selftaught.image_fit import MAX_ASPECT, fit

if TYPE_CHECKING:
    from selftaught.sources.base import Payload, Source
    from selftaught.store import Progress

PIXELS = "pixels.bin"
_INDEX = "index.npy"
_SKIPPED = "skipped.json"

_CHUNK = 32
"""Pictures a thread takes at once: enough to make the hand-over cheap, few enough to keep memory small."""
_BUFFER = 4 << 20
_PROBED = 500
"""Pictures whose size is looked at to choose the side and to estimate the size of the store."""

_Job: TypeAlias = "list[tuple[int, Payload | Exception | None]]"


@dataclass
class PackedIndex:
    """Where each of M readable pictures stands in the flat file.

    Attributes:
        source_of: (M,) int64, index into the entries of the source.
        height, width: (M,) int64, pixels; the shorter is the side of the store.
        skipped: (key, reason) of the entries that could not be read.
    """

    source_of: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    skipped: list[tuple[str, str]]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(M + 1,) int64, first byte of each picture, then the length of the file."""
        ends = np.cumsum(self.height * self.width * 3, dtype=np.int64)
        return np.concatenate([np.zeros(1, np.int64), ends])

    def save(self, folder: Path) -> None:
        np.save(folder / _INDEX, np.stack([self.source_of, self.height, self.width]))
        (folder / _SKIPPED).write_text(json.dumps(self.skipped))

    @classmethod
    def load(cls, folder: Path) -> PackedIndex:
        source_of, height, width = np.load(folder / _INDEX, allow_pickle=False)
        skipped = [(str(key), str(reason)) for key, reason in json.loads((folder / _SKIPPED).read_text())]
        return cls(source_of, height, width, skipped)


def look_ahead(source: Source, *, side: int) -> tuple[int, int]:
    """The side the store will have and an estimate of its bytes, from the sizes of at most 500 pictures.

    The side is the 95th percentile of the short sides where that is below `side`: a few large pictures among small
    ones must not make all the others four times as large on disk.
    """
    sizes = np.array(list(_probe_sizes(source)) or [(side, side)], dtype=np.float64)
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    found = min(side, max(MIN_SIDE, round(float(np.percentile(short, 95)))))
    aspect = float(np.minimum(long / short, MAX_ASPECT).mean())
    return found, round(len(source) * 3 * found * found * aspect)


def pack(
    source: Source, folder: Path, *, side: int, workers: int, keep_pixels: bool, progress: Progress | None
) -> PackedIndex:
    """Decode every entry; write the pixels (where wanted) and the index into `folder`.

    The index alone serves decoding on the fly: it says which entries are readable, so that row numbers mean the same
    with and without a packed file.
    """
    parts: list[_Decoded] = []
    done = 0
    with (folder / PIXELS).open("wb", buffering=_BUFFER) if keep_pixels else nullcontext() as file:
        for part in _decode_in_order(source, side=side, workers=workers, keep_pixels=keep_pixels):
            if file is not None:
                file.writelines(pixels.data for pixels in part.pixels)
                part.pixels.clear()
            parts.append(part)
            done += len(part.source_of) + len(part.skipped)
            if progress is not None:
                progress(done, len(source))
    sizes = np.array([size for part in parts for size in part.sizes], dtype=np.int64).reshape(-1, 2)
    index = PackedIndex(
        source_of=np.array([i for part in parts for i in part.source_of], dtype=np.int64),
        height=sizes[:, 0],
        width=sizes[:, 1],
        skipped=[(source.entries[i].key, reason) for part in parts for i, reason in part.skipped],
    )
    index.save(folder)
    return index


@dataclass
class _Decoded:
    source_of: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)


def _decode_in_order(source: Source, *, side: int, workers: int, keep_pixels: bool) -> Iterator[_Decoded]:
    """Chunks decoded by `workers` threads, in the order they were read; a few chunks are in memory at a time."""

    def decode(job: _Job) -> _Decoded:
        out = _Decoded()
        for i, payload in job:
            try:
                pixels = fit(_payload(source, i, payload), side=side)
            except (OSError, ValueError) as broken:
                out.skipped.append((i, reason(broken)))
                continue
            out.source_of.append(i)
            out.sizes.append(pixels.shape[:2])
            if keep_pixels:
                out.pixels.append(pixels)
        return out

    waiting: deque[Future[_Decoded]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="selftaught-pack") as pool:
        try:
            for job in _jobs(source):
                waiting.append(pool.submit(decode, job))
                if len(waiting) > 2 * workers + 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _jobs(source: Source) -> Iterator[_Job]:
    entries: Iterator[tuple[int, Payload | Exception | None]]
    # Where any entry can be read at once the threads read too, so that a slow disk gets several requests.
    entries = ((i, None) for i in range(len(source))) if source.random_access else iter(source.iterate())
    while job := list(itertools.islice(entries, _CHUNK)):
        yield job


def _payload(source: Source, i: int, payload: Payload | Exception | None) -> Payload:
    if isinstance(payload, Exception):
        raise payload
    return source.read(i) if payload is None else payload


def reason(broken: Exception) -> str:
    """Why an entry is skipped, short and without the path, which stands beside it."""
    if isinstance(broken, OSError) and broken.strerror:
        return broken.strerror
    return str(broken) or type(broken).__name__


def _probe_sizes(source: Source) -> Iterator[tuple[int, int]]:
    """(height, width) of some readable pictures, the same ones each time."""
    some: Iterator[tuple[int, Payload | Exception | None]]
    if source.random_access:
        chosen = np.random.default_rng(0).permutation(len(source))[:_PROBED]
        some = ((int(i), None) for i in np.sort(chosen))
    else:
        some = itertools.islice(iter(source.iterate()), _PROBED)
    for i, payload in some:
        try:
            found = _payload(source, i, payload)
            height, width = image_size(found) if isinstance(found, bytes) else np.shape(found)[:2]
        except (OSError, ValueError):
            continue
        if min(height, width) >= MIN_SIDE:
            yield height, width

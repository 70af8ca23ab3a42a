"""Packing: every image of a source decoded once, by all cores, into one flat file and a small index."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.fit import MAX_ASPECT, fit
from selftaught.data.decode.image import MIN_SIDE, Decoding, Scratch, image_size
from selftaught.data.decode.image_header import has_more_pages
from selftaught.data.decode.values import Values

if TYPE_CHECKING:
    from selftaught.data.decode.image import Payload
    from selftaught.data.sources.base import Source
    from selftaught.data.store.samples import Progress

PIXELS = "pixels.bin"
_INDEX = "index.npy"
_SKIPPED = "skipped.json"

_CHUNK, _CHUNK_BYTES, _JOB_BYTES = 32, 4 << 20, 32 << 20
"""Images per work item of a thread: enough for little overhead, few enough for little memory."""
_HELD_BYTES = 512 << 20
"""Encoded bytes that wait to be decoded; few files are large, but one that claims to be may be one of thousands."""
_PROBED = 500
"""Images whose size is looked at to choose the side and to estimate the size of the store."""

_Job: TypeAlias = "list[tuple[int, Payload | Exception | None]]"


@dataclass
class PackedIndex:
    """Where each of M readable images stands in the flat file.

    Attributes:
        source_of: (M,) int64, index into the entries of the source.
        height, width: (M,) int64, pixels; the shorter is the side of the store.
        skipped: (key, reason) of the entries that could not be read.
    """

    source_of: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    skipped: list[tuple[str, str]]
    depth: int = 3
    """Channels."""
    paged: int = 0
    """Files with pages or frames beyond the first, of an index that was just made."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(M + 1,) int64, first byte of each image, then the length of the file."""
        ends = np.cumsum(self.height * self.width * self.depth, dtype=np.int64)
        return np.concatenate([np.zeros(1, np.int64), ends])

    def save(self, folder: Path) -> None:
        np.save(folder / _INDEX, np.stack([self.source_of, self.height, self.width]))
        (folder / _SKIPPED).write_text(json.dumps(self.skipped))

    @classmethod
    def load(cls, folder: Path, depth: int = 3) -> PackedIndex:
        source_of, height, width = np.load(folder / _INDEX, allow_pickle=False)
        skipped = [(str(key), str(reason)) for key, reason in json.loads((folder / _SKIPPED).read_text())]
        return cls(source_of, height, width, skipped, depth)


def look_ahead(source: Source, *, side: int, depth: int = 3) -> tuple[int, int]:
    """The side the store will have and an estimate of its bytes, from the sizes of at most 500 images.

    The side is the 95th percentile of the short sides where that is below `side`: a few large images among small
    ones must not make all the others four times as large on disk.
    """
    sizes = np.array(list(_probe_sizes(source)) or [(side, side)], dtype=np.float64)
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    found = min(side, max(MIN_SIDE, round(float(np.percentile(short, 95)))))
    aspect = float(np.minimum(long / short, MAX_ASPECT).mean())
    return found, round(len(source) * depth * found * found * aspect)


def pack(
    source: Source,
    folder: Path,
    *,
    side: int,
    decoding: Decoding,
    workers: int,
    keep_pixels: bool,
    progress: Progress | None,
) -> PackedIndex:
    """Decode every entry; write the pixels (where wanted) and the index into `folder`.

    The index alone serves decoding on the fly: it says which entries are readable, so that row numbers mean the same
    with and without a packed file.
    """
    parts: list[_Found] = []
    done = 0
    with (
        (folder / PIXELS).open("wb") if keep_pixels else nullcontext() as file,
        one_opencv_thread(),
    ):
        for part in _decode_in_order(source, side=side, decoding=decoding, workers=workers):
            if file is not None:
                file.write(part.pixels.data)
            parts.append(part.found)
            done += len(part.found.source_of) + len(part.found.skipped)
            if progress is not None:
                progress(done, len(source))
    sizes = np.array([size for part in parts for size in part.sizes], dtype=np.int64).reshape(-1, 2)
    index = PackedIndex(
        source_of=np.array([i for part in parts for i in part.source_of], dtype=np.int64),
        height=sizes[:, 0],
        width=sizes[:, 1],
        skipped=[(source.entries[i].key, reason) for part in parts for i, reason in part.skipped],
        depth=decoding.depth,
        paged=sum(part.paged for part in parts),
    )
    index.save(folder)
    return index


@dataclass
class _Found:
    source_of: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    paged: int = 0


@dataclass
class _Decoded:
    found: _Found
    pixels: NDArray[np.uint8]
    """Flat, the images one behind the other; valid until the next chunk is asked for."""
    memory: NDArray[np.uint8]


def _decode_in_order(source: Source, *, side: int, decoding: Decoding, workers: int) -> Iterator[_Decoded]:
    """Chunks decoded by `workers` threads, in the order they were read; a few chunks are in memory at a time.

    Their memory goes round: on fresh memory the page faults cost about half as much as decoding a small image.
    """
    chunk = max(4, min(_CHUNK, _CHUNK_BYTES // (decoding.depth * side * side)))
    most = decoding.depth * side * (MAX_ASPECT * side)
    free: list[NDArray[np.uint8]] = []
    waiting: deque[tuple[Future[_Decoded], int]] = deque()
    threads = threading.local()

    def decode(job: _Job, memory: NDArray[np.uint8]) -> _Decoded:
        scratch: Scratch = threads.__dict__.setdefault("scratch", Scratch())
        found, end = _Found(), 0
        for i, payload in job:
            try:
                got = _payload(source, i, payload)
                fitted = fit(got, side=side, decoding=decoding, scratch=scratch, out=memory[end : end + most])
            except (OSError, ValueError) as broken:
                found.skipped.append((i, reason(broken)))
                continue
            found.paged += isinstance(got, bytes) and has_more_pages(got)
            found.source_of.append(i)
            found.sizes.append((fitted.shape[0], fitted.shape[1]))
            end += fitted.nbytes
        return _Decoded(found, memory[:end], memory)

    def finished() -> Iterator[_Decoded]:
        done = waiting.popleft()[0].result()
        yield done
        free.append(done.memory)

    with ThreadPoolExecutor(workers, thread_name_prefix="selftaught-pack") as pool:
        try:
            for job in _jobs(source, chunk):
                memory = free.pop() if free else np.empty(chunk * most, dtype=np.uint8)
                waiting.append((pool.submit(decode, job, memory), _bytes_of(job)))
                while len(waiting) > workers + 2 or (waiting and sum(size for _, size in waiting) > _HELD_BYTES):
                    yield from finished()
            while waiting:
                yield from finished()
        finally:
            for future, _ in waiting:
                future.cancel()


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads off: there is one of ours for each core, and theirs only get in the way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _jobs(source: Source, chunk: int) -> Iterator[_Job]:
    entries: Iterator[tuple[int, Payload | Exception | None]]
    # Where any entry can be read at once the threads read too, so that a slow disk gets several requests.
    entries = ((i, None) for i in range(len(source))) if source.random_access else iter(source.iterate())
    job: _Job = []
    for entry in entries:
        job.append(entry)
        if len(job) == chunk or _bytes_of(job) > _JOB_BYTES:
            yield job
            job = []
    if job:
        yield job


def _bytes_of(job: _Job) -> int:
    return sum(_size(payload) for _, payload in job)


def _size(payload: Payload | Exception | None) -> int:
    if isinstance(payload, Values):
        return payload.pixels.nbytes
    return len(payload) if isinstance(payload, bytes) else 0


def _payload(source: Source, i: int, payload: Payload | Exception | None) -> Payload:
    if isinstance(payload, Exception):
        raise payload
    return source.read(i) if payload is None else payload


def reason(broken: Exception) -> str:
    """Why an entry is skipped, short and without the path."""
    if isinstance(broken, OSError) and broken.strerror:
        return broken.strerror
    return str(broken) or type(broken).__name__


def _probe_sizes(source: Source) -> Iterator[tuple[int, int]]:
    """(height, width) of some readable images, the same ones each time."""
    for payload in source.some(_PROBED):
        if not isinstance(payload, bytes | np.ndarray | Values):
            continue
        try:
            pixels = payload.pixels if isinstance(payload, Values) else payload
            height, width = image_size(pixels) if isinstance(pixels, bytes) else pixels.shape[:2]
        except ValueError:
            continue
        if min(height, width) >= MIN_SIDE:
            yield height, width

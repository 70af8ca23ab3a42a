"""Samples of an image source: gathered from the packed file, or decoded on the fly with the very same result."""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.threads import give_way, usable_cores
from selftaught.data.decode.fit import fit, window
from selftaught.data.decode.image import Decoding, Scratch
from selftaught.data.files.file_kinds import HAS_TIFFFILE
from selftaught.data.store.image_pack import PIXELS, PackedIndex, look_ahead, pack, reason
from selftaught.data.store.samples import HostBatch, NothingReadable
from selftaught.data.store.store_care import build_kept, note_origin, open_kept
from selftaught.data.store.stored_frames import StoredFrames

if TYPE_CHECKING:
    from selftaught.data.batch import Sampling
    from selftaught.data.sources.base import Source
    from selftaught.data.store.samples import Progress, Samples

_FORMAT = "2"
"""Raise it when the bytes of a store or the geometry of `fit` change."""


def open_image_samples(
    source: Source,
    *,
    side: int,
    cache_limit_gb: float,
    workers: int | None,
    progress: Progress | None,
    decoding: Decoding,
    names: Sequence[str] = ("image",),
) -> Samples:
    """The packed store of `source`, built where absent; decoding on the fly where it would exceed the limit.

    `names` are those of the inputs that are images.
    """
    keys = image_keys(source, side, decoding)
    limit = cache_limit_gb * 1e9

    def opened(folder: Path, meta: dict[str, Any]) -> Samples:
        return _open(source, folder, meta, decoding=decoding, workers=workers, names=names)

    if (samples := open_kept(keys, limit, opened)) is not None:
        return samples
    if not len(source):
        raise ValueError(f"{source.name} holds no images")
    return opened(*_build(source, keys, side=side, limit=limit, workers=workers, progress=progress, decoding=decoding))


def image_keys(source: Source, side: int, decoding: Decoding) -> dict[str, str]:
    """Keys of the store of an image source, by the way it is kept."""
    asked = [_FORMAT, source.fingerprint, str(side), decoding.stamp]
    return {kind: digest(["images", kind, *asked]) for kind in ("packed", "index")}


def _build(
    source: Source,
    keys: dict[str, str],
    *,
    side: int,
    limit: float,
    workers: int | None,
    progress: Progress | None,
    decoding: Decoding,
) -> tuple[Path, dict[str, Any]]:
    """Pack the source, or index it where it would exceed the limit of bytes."""
    packed_side, estimated_bytes = look_ahead(source, side=side, depth=decoding.depth)
    kind = "packed" if estimated_bytes <= limit else "index"

    def build(folder: Path) -> dict[str, Any]:
        index = pack(
            source,
            folder,
            side=packed_side,
            decoding=decoding,
            workers=workers or usable_cores(),
            keep_pixels=kind == "packed",
            progress=progress,
        )
        if not len(index.source_of):
            key, why = index.skipped[0]
            raise NothingReadable(
                f"none of the {len(source)} images of {source.name} can be read; the first, {key}: {why}",
                [*source.skipped, *index.skipped],
            )
        return {
            "kind": "images" if kind == "packed" else "images, index only",
            "packed": kind == "packed",
            "data": source.name,
            "samples": len(index.source_of),
            "side": packed_side,
            "estimated_bytes": estimated_bytes,
            "paged": index.paged,
            **note_origin(source, folder),
        }

    return build_kept(source, keys, build, size=estimated_bytes, limit=limit)


def _open(
    source: Source,
    folder: Path,
    meta: dict[str, Any],
    *,
    decoding: Decoding,
    workers: int | None,
    names: Sequence[str],
) -> Samples:
    index = PackedIndex.load(folder, decoding.depth)
    index.paged = int(meta.get("paged", 0))
    if index.source_of.max(initial=-1) >= len(source) or index.source_of.min(initial=0) < 0:
        raise ValueError("the index names entries that are not there")
    if meta["packed"] and (folder / PIXELS).stat().st_size != index.offsets[-1]:
        raise ValueError("the pixels are not all there")
    samples: PackedImages | LiveImages
    if meta["packed"]:
        samples = PackedImages(source, index, side=meta["side"], decoding=decoding, folder=folder)
    else:
        samples = LiveImages(source, index, side=meta["side"], decoding=decoding, folder=folder, workers=workers or 1)
    samples.names = names
    return samples


class _ImageSamples(ABC):
    """What the packed and the live samples share: the index of the readable images."""

    names: Sequence[str] = ("image",)
    """Of the inputs that `read` gives, all the same image."""

    def __init__(self, source: Source, index: PackedIndex, *, side: int, decoding: Decoding, folder: Path) -> None:
        self.side = side
        self.fingerprint = digest([source.fingerprint, str(side), str(len(index.source_of)), decoding.stamp])
        self.notes: tuple[str, ...] = ()
        if index.paged:
            files = "1 file has" if index.paged == 1 else f"{index.paged} files have"
            more = "" if HAS_TIFFFILE else "; pip install 'selftaught[tiff]' reads every page of TIFF files"
            self.notes = (f"{files} more than one page or frame; the first of each is used{more}",)
        self._name = source.name
        self.classes = source.classes
        self.source_of = index.source_of
        self.groups = None if source.groups is None else source.groups[index.source_of]
        self.item_of = np.arange(len(index.source_of))
        self._folder, self._index, self._depth = folder, index, decoding.depth
        self.skipped = [*source.skipped, *index.skipped]
        chosen = [source.entries[i] for i in index.source_of.tolist()]
        self.keys: Sequence[str] = [entry.key for entry in chosen]
        self.labels: NDArray[np.int64] | None = None
        if any(entry.label is not None for entry in chosen):
            self.labels = np.array([-1 if e.label is None else e.label for e in chosen], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.source_of)

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """The draws as they are: two images are never clips of one video."""
        return draws

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """One view, the centre: (count, 3) of 0.5."""
        return [np.full((count, 3), 0.5)]

    @property
    def stored(self) -> StoredFrames:
        """Every image as a video of one frame."""
        count = len(self.source_of)
        return StoredFrames(
            folder=self._folder,
            data=self._name,
            frames=np.ones(count, np.int64),
            times=np.zeros(count),
            begin=np.zeros(count),
            box=np.zeros((count, 4), np.int64),
            last=np.ones(count, np.bool_),
            height=self._index.height,
            width=self._index.width,
            read=self._whole,
            some=lambda item, numbers: dict(zip(numbers, self._whole(item), strict=False)),
        )

    def frames_of(self, rows: NDArray[np.int64], draws: NDArray[np.float64], name: str) -> NDArray[np.int64]:
        """(N, 1) of 0: an image is a video of one frame."""
        return np.zeros((len(rows), 1), np.int64)

    @abstractmethod
    def _whole(self, row: int) -> Iterator[NDArray[np.uint8]]:
        """The image of a row with both its sides, (H, W, 3); none where it cannot be read any more."""


class PackedImages(_ImageSamples):
    """Images of a packed file, read by offset straight into the batch.

    The file is not mapped: with large page-cache folios one fault of a random row maps up to 1 MB (measured on ext4),
    so that 500 rows count as 500 MB of resident memory, and dropping the pages again costs more than the copy by
    `preadv`, which leaves nothing behind. Both share the page cache with other runs.
    """

    def __init__(self, source: Source, index: PackedIndex, *, side: int, decoding: Decoding, folder: Path) -> None:
        super().__init__(source, index, side=side, decoding=decoding, folder=folder)
        self._offsets, self._height, self._width = index.offsets, index.height, index.width
        self._file = os.open(folder / PIXELS, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_size != self._offsets[-1]:
            raise ValueError(f"the packed store {folder} is damaged; remove it with `selftaught cache --clear`")

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        rows, side = np.array(rows, dtype=np.int64), self.side
        images = np.empty((len(rows), side, side, self._depth), dtype=np.uint8)
        height, width = self._height[rows], self._width[rows]
        # A window takes whole lines of the image: only an image wider than high needs a second copy.
        top = (draws[:, 0] * (height - side + 1)).astype(np.int64)
        left = (draws[:, 1] * (width - side + 1)).astype(np.int64)
        starts = self._offsets[rows] + self._depth * top * width
        for image, start, wide, at in zip(images, starts.tolist(), width.tolist(), left.tolist(), strict=True):
            if wide == side:
                self._fill(image, start)
            else:
                lines = np.empty((side, wide, self._depth), dtype=np.uint8)
                self._fill(lines, start)
                image[:] = lines[:, at : at + side]
        return HostBatch(index=rows, inputs=dict.fromkeys(self.names, images))

    def _whole(self, row: int) -> Iterator[NDArray[np.uint8]]:
        image = np.empty((int(self._height[row]), int(self._width[row]), self._depth), np.uint8)
        self._fill(image, int(self._offsets[row]))
        yield image

    def _fill(self, out: NDArray[np.uint8], start: int) -> None:
        if os.preadv(self._file, [out.data], start) != out.nbytes:
            raise OSError(f"the packed store of {self._name} was cut short while it was read")


class LiveImages(_ImageSamples):
    """Images decoded each time they are read, by threads that give way to the ones that compute."""

    def __init__(
        self, source: Source, index: PackedIndex, *, side: int, decoding: Decoding, folder: Path, workers: int
    ) -> None:
        super().__init__(source, index, side=side, decoding=decoding, folder=folder)
        self._decoding = decoding
        self._source = source
        self._skipping = threading.Lock()
        self._threads = threading.local()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="selftaught-decode", initializer=give_way)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        rows = np.array(rows, dtype=np.int64)
        images = np.empty((len(rows), self.side, self.side, self._depth), dtype=np.uint8)

        def decode(at: int) -> None:
            rows[at], picture = self._readable(int(rows[at]))
            images[at] = window(picture, side=self.side, y=draws[at, 0], x=draws[at, 1])

        for _ in self._pool.map(decode, range(len(rows))):
            pass
        return HostBatch(index=rows, inputs=dict.fromkeys(self.names, images))

    def _whole(self, row: int) -> Iterator[NDArray[np.uint8]]:
        with suppress(OSError, ValueError):
            payload = self._source.read(int(self.source_of[row]))
            yield fit(payload, side=self.side, decoding=self._decoding, scratch=self._scratch()).copy()

    def _readable(self, row: int) -> tuple[int, NDArray[np.uint8]]:
        """The image of `row`; of the next readable row where the file broke or went since the index was made."""
        for step in range(len(self)):
            here = (row + step) % len(self)
            try:
                payload = self._source.read(int(self.source_of[here]))
                return here, fit(payload, side=self.side, decoding=self._decoding, scratch=self._scratch())
            except (OSError, ValueError) as broken:
                skipped = (self.keys[here], reason(broken))
                with self._skipping:
                    if skipped not in self.skipped:
                        self.skipped.append(skipped)
        raise ValueError(f"no image of {self._name} can be read any more")

    def _scratch(self) -> Scratch:
        found: Scratch = self._threads.__dict__.setdefault("scratch", Scratch())
        return found

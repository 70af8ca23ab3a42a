"""Masks, depth, poses and the like that come with frames, packed beside the store of these: read in their windows."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.threads import give_way, usable_cores
from selftaught.data.decode.fit import MAX_ASPECT, corner, window
from selftaught.data.inputs import GIVEN
from selftaught.data.sources.base import GivenMaps
from selftaught.data.store.image_pack import reason
from selftaught.data.store.samples import Progress, Samples
from selftaught.data.store.store_care import build_beside, open_whole
from selftaught.data.store.stored_frames import StoredFrames, stored_of

_FORMAT = "2"
"""Raise it when the bytes of what is kept change."""
_VALUES, _BROKEN = "maps.bin", "broken.json"


class KeptMaps:
    """What is given of one kind with the frames of a store; each map is as large as its stored frame.

    Attributes:
        key: of the maps in the cache.
        broken: item of the store -> why its maps cannot be read.
    """

    def __init__(self, kind: str, stored: StoredFrames, folder: Path, *, side: int) -> None:
        self.key = folder.name
        self.broken: Mapping[int, str] = {
            int(row): why for row, why in json.loads((folder / _BROKEN).read_text(encoding="utf-8")).items()
        }
        self._kind, self._stored, self._side = kind, stored, side
        self._starts = _starts(stored, kind)
        self._file = os.open(folder / _VALUES, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_size != self._starts[-1]:
            raise ValueError("the maps are not all there")

    def read(self, items: NDArray[np.int64], frames: NDArray[np.int64], places: NDArray[np.float64]) -> NDArray[Any]:
        """What is given with frames; maps in the windows that `Samples.read` cuts by the same draws.

        Args:
            items: (N,) of the store.
            frames: (N, T) numbers of frames in each item.
            places: (N, 2) relative (y, x) of the window in [0, 1); further columns are ignored.

        Returns:
            (N, T, side, side, ...) of maps, else (N, T, ...); of the kind's type.
        """
        given = GIVEN[self._kind]
        size = (self._side, self._side) if given.is_map else ()
        out = np.empty((*frames.shape, *size, *given.shape), given.dtype)
        for n, item in enumerate(items.tolist()):
            height, width = int(self._stored.height[item]), int(self._stored.width[item])
            y, x = places[n, :2].tolist()
            whole = np.empty((*((height, width) if given.is_map else ()), *given.shape), given.dtype_kept)
            for t, frame in enumerate(frames[n].tolist()):
                start = int(self._starts[item]) + frame * whole.nbytes
                if os.preadv(self._file, [whole.data], start) != whole.nbytes:
                    raise OSError(f"the {self._kind} maps of {self._stored.data} were cut short while they were read")
                out[n, t] = self._cut(whole, y=y, x=x, height=height, width=width)
        return out

    def _cut(self, whole: NDArray[Any], *, y: float, x: float, height: int, width: int) -> NDArray[Any]:
        if GIVEN[self._kind].is_map:
            return window(whole, side=self._side, y=y, x=x)
        if self._kind != "intrinsics":
            return whole
        top, left = corner(height, width, side=self._side, y=y, x=x)
        return moved_intrinsics(whole, scale=(1, 1), left=left, top=top)


def open_kept_maps(
    kind: str,
    given: GivenMaps,
    samples: Samples,
    *,
    cache_limit_gb: float,
    workers: int | None = None,
    progress: Progress | None = None,
) -> KeptMaps:
    """Find or pack what is given with all frames of samples, scaled as the frames are, by the nearest value.

    Args:
        kind: of `inputs.GIVEN`.
        given: those of the entries of the source that `samples` are of.
        samples: of a store.
        cache_limit_gb: maps that would be larger are refused.
        workers: threads; None is all cores.
        progress: called with (done, total) while they are packed.

    Raises:
        ValueError: where the maps would exceed the limit or the disk.
    """
    stored, item_of = stored_of(samples)
    key = digest(["given", _FORMAT, kind, given.fingerprint, stored.folder.name])

    def opened(folder: Path, _meta: dict[str, Any]) -> KeptMaps:
        return KeptMaps(kind, stored, folder, side=samples.side)

    if (found := open_whole(key, opened)) is not None:
        return found
    size, limit = int(_starts(stored, kind)[-1]), cache_limit_gb * 1e9
    if size > limit:
        raise ValueError(
            f"the {kind} maps of {stored.data} need {size / 1e9:.3g} GB, above --cache-limit {cache_limit_gb:g}; "
            "raise that limit"
        )

    def fill(folder: Path) -> dict[str, Any]:
        entries = dict(zip(item_of.tolist(), samples.source_of.tolist(), strict=True))
        _fill(folder, kind, given, entries, stored, workers or usable_cores(), progress)
        return {}

    return opened(*build_beside(stored, key, fill, kind=f"{kind} maps", side=samples.side, size=size, limit=limit))


def _fill(
    folder: Path,
    kind: str,
    given: GivenMaps,
    entries: Mapping[int, int],
    stored: StoredFrames,
    workers: int,
    progress: Progress | None,
) -> None:
    """Write the maps of the items that samples are read from; `entries` are those of the source, by item."""
    starts, first = _starts(stored, kind), stored.first
    broken: dict[int, str] = {}
    with (folder / _VALUES).open("wb") as file, ThreadPoolExecutor(workers, initializer=give_way) as pool:
        file.truncate(int(starts[-1]))

        def keep(item: int) -> None:
            at = int(starts[item])
            box, size = stored.box[item], (int(stored.height[item]), int(stored.width[item]))
            for seconds in (stored.begin[item] + stored.times[first[item] : first[item + 1]]).tolist():
                try:
                    values = given.read(entries[item], seconds)
                    raw = given.size(entries[item]) if kind == "intrinsics" else values.shape[:2]
                except (OSError, ValueError) as why:
                    broken[item] = reason(why)
                    return
                fitted = np.ascontiguousarray(fit_given(kind, values, raw=raw, box=box, size=size))
                at += os.pwrite(file.fileno(), fitted.data, at)

        for done, _ in enumerate(pool.map(keep, entries), 1):
            if progress is not None:
                progress(done, len(entries))
    (folder / _BROKEN).write_text(json.dumps(dict(sorted(broken.items()))), encoding="utf-8")


def fit_given(
    kind: str, values: NDArray[Any], *, raw: Sequence[int], box: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[Any]:
    """What a source gives with a frame, for the frame as it is stored.

    Args:
        kind: of `inputs.GIVEN`.
        values: as of `GivenMaps.read`.
        raw: height and width of the frame before it is stored.
        box: (4,) what of the raw frame is kept, as of `StoredFrames`.
        size: height and width of the stored frame.
    """
    given = GIVEN[kind]
    top, left, high, wide = box.tolist() if box[2] else (0, 0, raw[0], raw[1])
    if kind == "intrinsics":
        short = min(high, wide)
        seen = min(high, MAX_ASPECT * short), min(wide, MAX_ASPECT * short)
        scale = size[1] / seen[1], size[0] / seen[0]
        return moved_intrinsics(values, scale=scale, left=left + (wide - seen[1]) // 2, top=top + (high - seen[0]) // 2)
    if not given.is_map:
        return np.asarray(values, given.dtype_kept)
    fitted = fit_map(values[top : top + high, left : left + wide], height=size[0], width=size[1])
    if kind == "flow":
        short = min(high, wide)
        fitted = fitted * np.float32(min(size) / short)
    return np.asarray(fitted, given.dtype_kept)


def fit_map(values: NDArray[Any], *, height: int, width: int) -> NDArray[Any]:
    """A map (H, W, ...) cut and scaled as `fit` does with its image, to (height, width), by the nearest value."""
    short = min(values.shape[:2])
    high, wide = (min(length, MAX_ASPECT * short) for length in values.shape[:2])
    top, left = (values.shape[0] - high) // 2, (values.shape[1] - wide) // 2
    cut = np.ascontiguousarray(values[top : top + high, left : left + wide])
    if cut.shape[:2] == (height, width):
        return cut
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), values.dtype)


def moved_intrinsics(
    values: NDArray[Any], *, scale: tuple[float, float], left: float, top: float
) -> NDArray[np.float32]:
    """Intrinsics (3, 3) of the part of an image from column `left` and row `top` on, scaled by (x, y)."""
    moved = np.array(values, np.float64)
    moved[:2, 2] -= (left, top)
    moved[0] *= scale[0]
    moved[1] *= scale[1]
    return np.asarray(moved, np.float32)


def _starts(stored: StoredFrames, kind: str) -> NDArray[np.int64]:
    """(V + 1,) byte at which the values of each item begin, then their sum."""
    given = GIVEN[kind]
    one = int(np.prod(given.shape, dtype=np.int64)) * np.dtype(given.dtype_kept).itemsize
    pixels = stored.height.astype(np.int64) * stored.width if given.is_map else 1
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(stored.frames * pixels * one)])

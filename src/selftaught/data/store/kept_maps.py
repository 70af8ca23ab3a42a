"""Maps that come with images, such as masks, packed beside the store of these: read in the windows of the images."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.threads import give_way, usable_cores
from selftaught.data.decode.fit import MAX_ASPECT, window
from selftaught.data.sources.base import GivenMaps
from selftaught.data.store.image_pack import reason
from selftaught.data.store.samples import Progress, Samples
from selftaught.data.store.store_care import build_beside, open_whole
from selftaught.data.store.stored_frames import StoredFrames, stored_of

_FORMAT = "1"
"""Raise it when the bytes of what is kept change."""
_VALUES, _BROKEN = "maps.bin", "broken.json"


class KeptMaps:
    """The maps of samples, each as large as its stored image.

    Attributes:
        key: of the maps in the cache.
        broken: row of the samples -> why its map cannot be read; it is 0 everywhere.
    """

    def __init__(self, stored: StoredFrames, folder: Path, *, dtype: np.dtype[Any], side: int) -> None:
        self.key = folder.name
        self.broken: Mapping[int, str] = {
            int(row): why for row, why in json.loads((folder / _BROKEN).read_text(encoding="utf-8")).items()
        }
        self._stored, self._dtype, self._side = stored, dtype, side
        self._starts = _starts(stored, dtype)
        self._file = os.open(folder / _VALUES, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_size != self._starts[-1]:
            raise ValueError("the maps are not all there")

    def read(self, rows: NDArray[np.int64], places: NDArray[np.float64]) -> NDArray[np.integer]:
        """Maps (N, side, side) in the windows of the images: those that `Samples.read` cuts by the same draws.

        Args:
            rows: (N,) of the samples.
            places: (N, 2) relative (y, x) of the window in [0, 1); further columns are ignored.
        """
        out = np.empty((len(rows), self._side, self._side), self._dtype)
        for at, row in enumerate(rows.tolist()):
            whole = np.empty((int(self._stored.height[row]), int(self._stored.width[row])), self._dtype)
            if os.preadv(self._file, [whole.data], int(self._starts[row])) != whole.nbytes:
                raise OSError(f"the maps of {self._stored.data} were cut short while they were read")
            out[at] = window(whole, side=self._side, y=places[at, 0], x=places[at, 1])
        return out


def open_kept_maps(
    kind: str,
    given: GivenMaps,
    samples: Samples,
    *,
    cache_limit_gb: float,
    workers: int | None = None,
    progress: Progress | None = None,
) -> KeptMaps:
    """Find or pack the maps of all samples, scaled as their images are, by the nearest value.

    Args:
        kind: "mask" or "depth".
        given: those of the entries of the source that `samples` are of.
        samples: images of a store.
        cache_limit_gb: maps that would be larger are refused.
        workers: threads; None is all cores.
        progress: called with (done, total) while they are packed.

    Raises:
        ValueError: where the maps would exceed the limit or the disk.
    """
    stored, _ = stored_of(samples)
    dtype = np.dtype(given.dtype)
    key = digest(["given", _FORMAT, kind, given.fingerprint, stored.folder.name])

    def opened(folder: Path, _meta: dict[str, Any]) -> KeptMaps:
        return KeptMaps(stored, folder, dtype=dtype, side=samples.side)

    if (found := open_whole(key, opened)) is not None:
        return found
    size, limit = int(_starts(stored, dtype)[-1]), cache_limit_gb * 1e9
    if size > limit:
        raise ValueError(
            f"the {kind} maps of {stored.data} need {size / 1e9:.3g} GB, above --cache-limit {cache_limit_gb:g}; "
            "raise that limit"
        )

    def fill(folder: Path) -> dict[str, Any]:
        _fill(folder, given, samples, stored, workers or usable_cores(), progress)
        return {}

    return opened(*build_beside(stored, key, fill, kind=f"{kind} maps", side=samples.side, size=size, limit=limit))


def _fill(
    folder: Path, given: GivenMaps, samples: Samples, stored: StoredFrames, workers: int, progress: Progress | None
) -> None:
    starts = _starts(stored, np.dtype(given.dtype))
    broken: dict[int, str] = {}
    with (folder / _VALUES).open("wb") as file, ThreadPoolExecutor(workers, initializer=give_way) as pool:
        file.truncate(int(starts[-1]))

        def keep(row: int) -> None:
            try:
                values = given.read(int(samples.source_of[row]))
            except (OSError, ValueError) as why:
                broken[row] = reason(why)
                return
            fitted = fit_map(values, height=int(stored.height[row]), width=int(stored.width[row]))
            os.pwrite(file.fileno(), np.ascontiguousarray(fitted).data, int(starts[row]))

        for done, _ in enumerate(pool.map(keep, range(len(stored))), 1):
            if progress is not None:
                progress(done, len(stored))
    (folder / _BROKEN).write_text(json.dumps(dict(sorted(broken.items()))), encoding="utf-8")


def fit_map(values: NDArray[np.integer], *, height: int, width: int) -> NDArray[np.integer]:
    """A map (H, W) cut and scaled as `fit` does with its image, to (height, width), by the nearest value."""
    short = min(values.shape)
    high, wide = (min(length, MAX_ASPECT * short) for length in values.shape)
    top, left = (values.shape[0] - high) // 2, (values.shape[1] - wide) // 2
    cut = np.ascontiguousarray(values[top : top + high, left : left + wide])
    if cut.shape == (height, width):
        return cut
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), values.dtype)


def _starts(stored: StoredFrames, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    """(V + 1,) byte at which the map of each image begins, then their sum."""
    sizes = stored.height.astype(np.int64) * stored.width * dtype.itemsize
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

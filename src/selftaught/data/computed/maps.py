"""The maps that a program computed of samples: found in the cache or computed, and read in the samples' windows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.progress import late_bar, say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.core.threads import usable_cores
from selftaught.data.computed.base import Maps, Program
from selftaught.data.computed.compute import SCALES, VALUES, Layout, compute
from selftaught.data.computed.frame_maps import FrameMaps, LiveMaps
from selftaught.data.store.samples import Progress, Samples
from selftaught.data.store.store_care import build_beside, open_whole
from selftaught.data.store.stored_frames import StoredFrames, stored_of

_FORMAT = "1"
"""Raise it when the bytes of what is kept change."""


class ComputedMaps(FrameMaps):
    """The maps that a program computed of all frames, read from the cache."""

    def __init__(
        self, program: Program, stored: StoredFrames, items: NDArray[np.int64], side: int, folder: Path
    ) -> None:
        super().__init__(program, stored, items, side, folder.name)
        self._scales = np.load(folder / SCALES, allow_pickle=False)
        if self._scales.shape != (self._first[-1],) or (folder / VALUES).stat().st_size != self._layout.bytes:
            raise ValueError("the maps are not all there")
        self._file = os.open(folder / VALUES, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def _stored_maps(self, item: int, frames: Sequence[int]) -> list[tuple[Maps, float]]:
        found = []
        for frame in frames:
            values = np.empty((*self._layout.size(item), self.program.channels), self.program.dtype)
            start = self._layout.start(item) + frame * values.nbytes
            if os.preadv(self._file, [values.data], start) != values.nbytes:
                raise OSError(f"the {self.program.name} of {self._stored.data} was cut short while it was read")
            found.append((values, float(self._scales[self._first[item] + frame])))
        return found


def open_computed(
    program: Program,
    samples: Samples,
    *,
    cache_limit_gb: float,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FrameMaps:
    """Find or compute the maps of all frames of the store that `samples` are read from.

    Those that would exceed the limit are computed each time they are read, but for those of whole shots.

    Args:
        program: what computes them.
        samples: of images or videos.
        cache_limit_gb: of the cache folder.
        workers: threads; None is all cores, and one for what is computed each time.
        progress: called with (done, total) videos or images while they are computed.

    Raises:
        ValueError: where the program reads two frames and the samples are images, where the maps would exceed the
            disk, or the limit if they are of whole shots, and where the program returns what it must not.
    """
    stored, items = stored_of(samples)
    if (program.reads > 1 or program.shot) and stored.frames.max(initial=1) == 1:
        count = "all" if program.shot else f"{program.reads}"
        raise ValueError(
            f"{program.name} is computed from {count} frames of a video, but {stored.data} holds images; "
            "give a folder of videos"
        )
    key = digest(["computed", _FORMAT, stored.folder.name, program.name, str(program.version), program.settings()])

    def opened(folder: Path, _meta: dict[str, Any]) -> ComputedMaps:
        return ComputedMaps(program, stored, items, samples.side, folder)

    if (found := open_whole(key, opened)) is not None:
        return found
    size, limit = Layout(program, stored).bytes, cache_limit_gb * 1e9
    if size > limit and program.shot:
        raise ValueError(
            f"the {program.name} of {stored.data} needs {size / 1e9:.3g} GB, more than --cache-limit "
            f"{cache_limit_gb:g}, and is computed of whole shots only once; raise --cache-limit"
        )
    if size > limit:
        live = LiveMaps(program, stored, items, samples.side, key, workers or 1)
        live.note = (
            f"the {program.name} of {stored.data} would need {size / 1e9:.3g} GB, more than --cache-limit "
            f"{cache_limit_gb:g}: it is computed each time it is read"
        )
        return live

    def fill(folder: Path) -> dict[str, Any]:
        unread = compute(program, stored, folder, workers or usable_cores(), progress)
        if unread:
            say_once(f"{program.name}: {unread} frames of {stored.data} cannot be read any more; their maps are 0")
        return {"unread": unread}

    return opened(*build_beside(stored, key, fill, kind=program.name, side=samples.side, size=size, limit=limit))


def pack_maps(
    program: Program, samples: Samples, data: DataSettings, *, title: str, is_shown: bool = True
) -> FrameMaps:
    """`open_computed` as a run does it, with a progress bar where the maps are not there yet."""
    with late_bar(title, is_shown=is_shown) as progress:
        return open_computed(program, samples, cache_limit_gb=data.cache_limit, workers=data.workers, progress=progress)

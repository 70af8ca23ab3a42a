"""Samples with the maps that programs compute of their images and clips, as a task names them among its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selftaught.core.config import DataSettings
from selftaught.core.files import digest
from selftaught.data.batch import Sampling
from selftaught.data.computed.catalogue import load_program
from selftaught.data.computed.maps import ComputedMaps, pack_maps
from selftaught.data.inputs import Computed, Image
from selftaught.data.sources.base import Source
from selftaught.data.store.open import pack
from selftaught.data.store.samples import HostBatch, Samples, notes_of
from selftaught.data.store.stored_frames import ReadFromStore, StoredFrames, from_store


class WithMaps:
    """The samples of `base` with further inputs, each of them maps of an image or a clip; see `Samples`."""

    def __init__(self, base: Samples, sampling: Sampling, maps: Mapping[str, ComputedMaps]) -> None:
        self.side = base.side
        self.fingerprint = digest([base.fingerprint, *(one.key for one in maps.values())])
        self.labels = base.labels
        self.classes = base.classes
        self.skipped = base.skipped
        self.notes = notes_of(base)
        self.source_of = base.source_of
        self.keys: Sequence[str] = base.keys
        self._base, self._maps = base, maps
        self._stored: ReadFromStore = from_store(base)
        self._like = {name: one.like for name, one in sampling.inputs.items() if isinstance(one, Computed)}
        self._images = {name for name, one in sampling.inputs.items() if isinstance(one, Image)}

    def __len__(self) -> int:
        return len(self._base)

    @property
    def stored(self) -> StoredFrames:
        """What `base` reads from."""
        return self._stored.stored

    @property
    def item_of(self) -> NDArray[np.int64]:
        """(M,) which item of `stored` each row is."""
        return self._stored.item_of

    def frames_of(self, rows: NDArray[np.int64], draws: NDArray[np.float64], name: str) -> NDArray[np.int64]:
        """As `base` gives them."""
        return self._stored.frames_of(rows, draws, name)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """As `base` reads them, and maps (N, side, side, C) of images and (N, T, side, side, C) of clips."""
        host = self._base.read(rows, draws)
        found = dict(host.inputs)
        for name, maps in self._maps.items():
            like = self._like[name]
            # Of the rows that were read: one that is broken by now was replaced by another.
            values = maps.read(host.index, self.frames_of(host.index, draws, like), draws)
            found[name] = values[:, 0] if like in self._images else values
        return replace(host, inputs=found)

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """As `base` does."""
        return self._base.spread(rows, draws, sampling)

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """As `base` does."""
        return self._base.eval_draws(count, clips)


def pack_with_maps(
    source: Source, data: DataSettings, sampling: Sampling, *, size: int, title: str, is_shown: bool = True
) -> Samples:
    """As `pack`, with all inputs of `sampling` that programs compute; they run where it is needed.

    Raises:
        ValueError: where a program is unknown, before anything is packed, or cannot be run on these data.
    """
    programs = {n: load_program(one.program)() for n, one in sampling.inputs.items() if isinstance(one, Computed)}
    samples = pack(source, data, sampling, size=size, title=title, is_shown=is_shown)
    if not programs:
        return samples
    maps = {
        name: pack_maps(program, samples, data, title=f"{title}: {program.name}", is_shown=is_shown)
        for name, program in programs.items()
    }
    return WithMaps(samples, sampling, maps)

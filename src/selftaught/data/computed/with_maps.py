"""Samples with maps of their images and clips, as a task names them: computed by programs, or given by the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.progress import late_bar
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.catalogue import make_program
from selftaught.data.computed.frame_maps import FrameMaps
from selftaught.data.computed.maps import pack_maps
from selftaught.data.computed.passing_maps import PassingMaps
from selftaught.data.inputs import Computed, Given, Image, liked
from selftaught.data.sources.base import Source
from selftaught.data.store.kept_maps import KeptMaps, open_kept_maps
from selftaught.data.store.open import pack
from selftaught.data.store.samples import HostBatch, NothingReadable, Samples, notes_of
from selftaught.data.store.stored_frames import ReadFromStore, StoredFrames, from_store
from selftaught.data.store.subset import Subset


@dataclass(frozen=True, kw_only=True)
class FurtherInput:
    """An input that is read in the windows of samples.

    Attributes:
        key: changes when its values do.
        note: how it is read, where people should know.
        read: of the samples that were read, and the draws they were cut by.
    """

    key: str
    note: str = ""
    read: Callable[[HostBatch, NDArray[np.float64]], NDArray[Any]]


class WithMaps:
    """The samples of `base` with further inputs, each of them maps of an image or a clip; see `Samples`."""

    def __init__(self, base: Samples, further: Mapping[str, FurtherInput]) -> None:
        self.side = base.side
        self.fingerprint = digest([base.fingerprint, *(one.key for one in further.values())])
        self.labels = base.labels
        self.classes = base.classes
        self.skipped = base.skipped
        self.notes = (*notes_of(base), *(one.note for one in further.values() if one.note))
        self.source_of = base.source_of
        self.keys: Sequence[str] = base.keys
        self._base, self._further = base, further
        self._stored: ReadFromStore = from_store(base)

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
        """As `base` reads them, with computed maps (N, side, side, C) of images and (N, T, side, side, C) of clips.

        Given ones are as of `Given`, with channels last.
        """
        host = self._base.read(rows, draws)
        # Of the rows that were read: one that is broken by now was replaced by another.
        return replace(host, inputs={**host.inputs, **{n: one.read(host, draws) for n, one in self._further.items()}})

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """As `base` does."""
        return self._base.spread(rows, draws, sampling)

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """As `base` does."""
        return self._base.eval_draws(count, clips)


def pack_with_maps(
    source: Source, data: DataSettings, sampling: Sampling, *, size: int, title: str, is_shown: bool = True
) -> Samples:
    """As `pack`, with all inputs of `sampling` that programs compute, which run where it is needed, or the data give.

    Samples whose map is broken are left out and listed.

    Raises:
        ValueError: where a program or its setting is unknown, before anything is packed, or where a program cannot be
            run on these data.
        NothingReadable: where no sample can be used.
    """
    programs = {n: make_program(one) for n, one in sampling.inputs.items() if isinstance(one, Computed)}
    if source.is_endless:
        from selftaught.data.rendered.samples import open_rendered, rendering_processes

        workers = rendering_processes(data)
        passing = {n: PassingMaps(one, data=source.name, workers=workers) for n, one in programs.items()}
        return open_rendered(source, data, sampling, passing, size=size)
    given = {n: one.what for n, one in sampling.inputs.items() if isinstance(one, Given) and one.what in source.maps}
    samples = pack(source, data, sampling, size=size, title=title, is_shown=is_shown)
    if not programs and not given:
        return samples
    further: dict[str, FurtherInput] = {}
    for name, program in programs.items():
        computed = pack_maps(program, samples, data, title=f"{title}: {program.name}", is_shown=is_shown)
        further[name] = _computed(computed, samples, sampling, name)
    broken: dict[int, str] = {}
    for name, kind in given.items():
        with late_bar(f"{title}: {kind}", is_shown=is_shown) as progress:
            kept = open_kept_maps(
                kind,
                source.maps[kind],
                samples,
                cache_limit_gb=data.cache_limit,
                workers=data.workers,
                progress=progress,
            )
        broken = {**kept.broken, **broken}
        further[name] = _given(kept, samples, sampling, name)
    return _without(WithMaps(samples, further), broken, source)


def _computed(maps: FrameMaps, samples: Samples, sampling: Sampling, name: str) -> FurtherInput:
    asked = sampling.inputs[name]
    assert isinstance(asked, Computed)
    stored, is_image = from_store(samples), isinstance(sampling.inputs[asked.like], Image)

    def read(host: HostBatch, draws: NDArray[np.float64]) -> NDArray[Any]:
        values = maps.read(host.index, stored.frames_of(host.index, draws, asked.like), draws)
        return values[:, 0] if is_image else values

    return FurtherInput(key=maps.key, note=maps.note, read=read)


def _given(maps: KeptMaps, samples: Samples, sampling: Sampling, name: str) -> FurtherInput:
    stored, like = from_store(samples), liked(sampling.inputs, name)
    is_image = isinstance(sampling.inputs[like], Image)

    def read(host: HostBatch, draws: NDArray[np.float64]) -> NDArray[Any]:
        frames = stored.frames_of(host.index, draws, like)
        values = maps.read(stored.item_of[host.index], frames, draws)
        return values[:, 0] if is_image else values

    return FurtherInput(key=maps.key, read=read)


def _without(samples: Samples, broken_items: Mapping[int, str], source: Source) -> Samples:
    """The samples but for the rows with a broken map, which are listed."""
    items = enumerate(from_store(samples).item_of.tolist())
    broken = {row: broken_items[item] for row, item in items if item in broken_items}
    if not broken:
        return samples
    skipped = [*samples.skipped, *((samples.keys[row], why) for row, why in sorted(broken.items()))]
    if len(broken) == len(samples):
        key, why = skipped[len(samples.skipped)]
        raise NothingReadable(f"no sample of {source.name} can be used; the map of the first, {key}: {why}", skipped)
    rest = Subset(samples, np.array([row for row in range(len(samples)) if row not in broken], np.int64))
    rest.skipped = skipped
    return rest

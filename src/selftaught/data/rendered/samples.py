"""Samples of endless scenes: rendered when they are read, as a packed store would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.settings.groups import DataSettings
from selftaught.core.threads import usable_cores
from selftaught.data.batch import Sampling
from selftaught.data.decode.image import MIN_SIDE
from selftaught.data.inputs import Computed, Given, Image, Sound, liked
from selftaught.data.rendered.processes import Processes
from selftaught.data.rendered.worker import Order
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.world.source import World
from selftaught.data.store.clips import ClipPlan, Place
from selftaught.data.store.open import store_side
from selftaught.data.store.samples import HostBatch
from selftaught.data.store.video_index import VideoIndex


class MapProgram(Protocol):
    """What computes maps of the frames that were rendered; see `computed.passing_maps`."""

    @property
    def reads(self) -> int:
        """Frames that one map depends on: its own and those after it."""
        ...

    def read(
        self,
        images: Sequence[Mapping[int, NDArray[np.uint8]]],
        frames: NDArray[np.int64],
        places: NDArray[np.float64],
        *,
        length: int,
    ) -> NDArray[Any]:
        """The maps (N, T, side, side, channels) of frames (N, T), from images by number of scenes of that length."""
        ...


class RenderedSamples:
    """The scenes of an endless source, by row; see `store.Samples`."""

    def __init__(
        self, source: World, sampling: Sampling, programs: Mapping[str, MapProgram], *, side: int, workers: int
    ) -> None:
        settings = source.scenes.settings
        self.sampling, self.side = sampling, side
        self.fingerprint = digest([source.fingerprint, str(side), repr(sampling)])
        self.labels: NDArray[np.int64] | None = None
        self.classes: tuple[str, ...] | None = None
        self.skipped: list[tuple[str, str]] = []
        self.source_of = np.arange(len(source))
        self.keys: Sequence[str] = _Keys(source.entries)
        processes = "1 process" if workers == 1 else f"{workers} processes"
        self.notes = (f"scenes are rendered by {processes} while training (--workers); {source.name} keeps none",)
        self._plan = ClipPlan(_one_video(settings.frames, settings.fps, settings.side), sampling)
        if self._plan.unusable:
            raise ValueError(f"the videos of {source.name} cannot be used: {self._plan.unusable[0]}; raise frames=")
        self._programs, self._frames = programs, settings.frames
        self._named = {n: one for n, one in sampling.inputs.items() if isinstance(one, Given)}
        self._kinds = tuple(sorted({one.what for one in self._named.values()}))
        self._processes = Processes(source.scenes, workers)

    def __len__(self) -> int:
        return len(self.source_of)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """Clips (N, T, side, side, 3), images (N, side, side, 3), what is given, and the time of the moments."""
        places = [self._plan.at(0, drawn) for drawn in draws]
        wanted = [self._wanted(place) for place in places]
        orders = [
            Order(int(row), tuple(frames.tolist()), self._kinds, self.side)
            for row, frames in zip(rows, wanted, strict=True)
        ]
        found = self._processes.render(orders)
        at = [np.searchsorted(frames, place.frames) for frames, place in zip(wanted, places, strict=True)]
        inputs: dict[str, NDArray[Any]] = {}
        for name, one in self.sampling.inputs.items():
            like = liked(self.sampling.inputs, name) if isinstance(one, Given | Computed) else name
            part = self._plan.parts[like]
            if isinstance(one, Computed):
                frames = np.stack([place.frames[part] for place in places])
                images = [dict(zip(n.tolist(), row.images, strict=True)) for n, row in zip(wanted, found, strict=True)]
                stacked = self._programs[name].read(images, frames, draws, length=self._frames)
                inputs[name] = stacked[:, 0] if isinstance(self.sampling.inputs[like], Image) else stacked
                continue
            arrays = [one_row.given[one.what] if isinstance(one, Given) else one_row.images for one_row in found]
            stacked = np.stack([array[own[part]] for array, own in zip(arrays, at, strict=True)])
            inputs[name] = stacked[:, 0] if isinstance(self.sampling.inputs[like], Image) else stacked
        time = np.array([place.middle for place in places], np.float32)
        return HostBatch(index=np.array(rows, np.int64), inputs=inputs, time=time)

    def _wanted(self, place: Place) -> NDArray[np.int64]:
        """The frames of one scene that are read, and those that programs read beside them."""
        frames = {int(frame) for frame in place.frames}
        for name, program in self._programs.items():
            for frame in place.frames[self._plan.parts[liked(self.sampling.inputs, name)]].tolist():
                first = min(frame, max(0, self._frames - program.reads))
                frames |= set(range(first, min(first + program.reads, self._frames)))
        return np.array(sorted(frames), np.int64)

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """Draws whose neighbouring rows of one scene are `min_gap` seconds apart, else as given."""
        spread, count = draws.copy(), sampling.clips_per_video
        for start in range(0, len(rows), count):
            own = slice(start, start + count)
            spread[own, 2] = self._plan.spread(np.zeros(count, np.int64), draws[own, 2], sampling.min_gap)
        return spread

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """`clips` draws (count, D) of moments evenly over each scene."""
        evenly = [np.full((count, self.sampling.draws), 0.5) for _ in range(clips)]
        for k, draws in enumerate(evenly):
            draws[:, 2] = (k + 0.5) / clips
        return evenly


def open_rendered(
    source: Source, data: DataSettings, sampling: Sampling, programs: Mapping[str, MapProgram], *, size: int
) -> RenderedSamples:
    """Samples of an endless source; arguments as of `store.open.pack`, and the programs of the inputs, by name."""
    assert isinstance(source, World)
    assert not any(isinstance(one, Sound) for one in sampling.inputs.values())  # the source has no sound
    side = min(source.scenes.settings.side, max(MIN_SIDE, data.store_size or store_side(size)))
    return RenderedSamples(source, sampling, programs, side=side, workers=rendering_processes(data))


def rendering_processes(data: DataSettings) -> int:
    """How many render: `--workers`, or one for each core but the one that trains."""
    return data.workers or max(1, usable_cores() - 1)


class _Keys(Sequence[str]):
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        return [one.key for one in self._entries[at]] if isinstance(at, slice) else self._entries[at].key


def _one_video(frames: int, fps: float, side: int) -> VideoIndex:
    """The index of a single video, for all scenes are alike in what clips heed."""
    none, one = np.zeros(1, np.int64), np.array([side], np.int64)
    return VideoIndex(
        entry=none,
        height=one,
        width=one,
        box=np.zeros((1, 4), np.int64),
        frames=np.array([frames], np.int64),
        times=np.arange(frames) / fps,
        seal=np.zeros(frames, np.int64),
        segment_video=none,
        segment_first=none,
        segment_stop=np.array([frames], np.int64),
        begin=np.zeros(1),
        sound_start=np.zeros(1),
        sound_samples=none,
        shard=none - 1,
        frame_offset=none,
        sound_offset=none,
        length=np.zeros(frames, np.int64),
    )

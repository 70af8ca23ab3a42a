"""Samples of endless scenes: rendered when they are read, as a packed store would give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.settings.groups import DataSettings
from selftaught.core.threads import usable_cores
from selftaught.data.batch import Sampling
from selftaught.data.decode.image import MIN_SIDE
from selftaught.data.inputs import Clip, Computed, Given, Image, Sound, liked
from selftaught.data.rendered.processes import Processes
from selftaught.data.rendered.worker import Order
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.world.source import World
from selftaught.data.store.clips import ClipPlan
from selftaught.data.store.open import store_side
from selftaught.data.store.samples import HostBatch
from selftaught.data.store.video_index import VideoIndex


class RenderedSamples:
    """The scenes of an endless source, by row; see `store.Samples`."""

    def __init__(self, source: World, sampling: Sampling, *, side: int, workers: int) -> None:
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
        self._named = {n: one for n, one in sampling.inputs.items() if isinstance(one, Given)}
        self._kinds = tuple(sorted({one.what for one in self._named.values()}))
        self._processes = Processes(source.scenes, workers)

    def __len__(self) -> int:
        return len(self.source_of)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """Clips (N, T, side, side, 3), images (N, side, side, 3), what is given, and the time of the moments."""
        places = [self._plan.at(0, drawn) for drawn in draws]
        wanted = [np.unique(place.frames) for place in places]
        orders = [
            Order(int(row), tuple(frames.tolist()), self._kinds, self.side)
            for row, frames in zip(rows, wanted, strict=True)
        ]
        found = self._processes.render(orders)
        at = [np.searchsorted(frames, place.frames) for frames, place in zip(wanted, places, strict=True)]
        inputs: dict[str, NDArray[Any]] = {}
        for name, one in self.sampling.inputs.items():
            like = liked(self.sampling.inputs, name) if isinstance(one, Given) else name
            part = self._plan.parts[like]
            arrays = [one_row.given[one.what] if isinstance(one, Given) else one_row.images for one_row in found]
            stacked = np.stack([array[own[part]] for array, own in zip(arrays, at, strict=True)])
            inputs[name] = stacked[:, 0] if isinstance(self.sampling.inputs[like], Image) else stacked
        time = np.array([place.middle for place in places], np.float32)
        return HostBatch(index=np.array(rows, np.int64), inputs=inputs, time=time)

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


def open_rendered(source: Source, data: DataSettings, sampling: Sampling, *, size: int) -> RenderedSamples:
    """Samples of an endless source; arguments as of `store.open.pack`.

    Raises:
        ValueError: where the task needs what only a packed store has.
    """
    assert isinstance(source, World)
    for name, one in sampling.inputs.items():
        if isinstance(one, Computed):
            raise ValueError(
                f"input {name!r} is computed by {one.program!r} from packed frames, but those of {source.name} are "
                "rendered while training; give a number of scenes, such as world:scenes=500"
            )
        assert isinstance(one, Image | Clip | Given) and not isinstance(one, Sound)  # noqa: PT018 - the source has no more
    side = min(source.scenes.settings.side, max(MIN_SIDE, data.store_size or store_side(size)))
    return RenderedSamples(source, sampling, side=side, workers=data.workers or max(1, usable_cores() - 1))


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

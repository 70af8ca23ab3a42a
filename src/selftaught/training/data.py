"""Both halves of the data as a run reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.files import digest
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.batches import Batches
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.files.left_out import LeftOut
from selftaught.data.loader import Loader
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_part
from selftaught.data.sources.shards import Shards
from selftaught.data.sources.value_range import range_note, with_range
from selftaught.data.store.parts import LEAST_HELD_OUT, LEAST_SHARE, Halves, open_halves, open_some
from selftaught.data.store.samples import Samples, notes_of
from selftaught.data.stream import check_share
from selftaught.tasks.spec import TaskSpec
from selftaught.training.streamed import open_streamed, shards_to_stream


@dataclass(frozen=True, kw_only=True)
class Data:
    """The two halves of the data as a run reads them."""

    loader: Batches
    held_out: Samples
    sampling: Sampling
    num_classes: int
    left_out: LeftOut = field(default_factory=LeftOut)
    """Files that are no samples."""
    notes: tuple[str, ...] = ()
    """How the data were read, where there was a choice or something was left out."""
    value_range: str = "auto"
    """Of the images of more than 8 bits, LOW,HIGH where there are some."""
    is_streamed: bool = False
    """Whether shards are read in order instead of being packed."""

    @property
    def whole(self) -> Loader:
        """The loader of data whose samples are known by their numbers."""
        if not isinstance(self.loader, Loader):
            raise TypeError(f"{type(self.loader).__name__} does not know all samples")
        return self.loader

    @property
    def samples(self) -> Samples:
        """All training samples, of data that are known as a whole."""
        return self.whole.samples

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(path, reason) of everything that could not be used."""
        return [*self.loader.skipped, *self.held_out.skipped]


def open_sources(config: RunConfig, spec: TaskSpec) -> list[Source]:
    """The training part of the data and the one that is held out."""
    return [open_part(config.data, split=split, needs=spec.needs) for split in ("train", "held_out")]


def open_data(config: RunConfig, spec: TaskSpec, fabric: Fabric) -> Data:
    """Open or pack both halves of the data, or shards to be read in order; the first process packs, the others wait."""
    sampling = spec.sampling
    if (shards := shards_to_stream(config, spec)) is not None:
        return _open_streamed(shards, config, sampling, fabric)
    sources = open_sources(config, spec)
    is_shown = fabric.is_global_zero
    with fabric.rank_zero_first():
        reading = with_range(config.data, sources[0])
        halves = _pack_both(sources, config, reading, sampling, is_shown=is_shown)
    notes = [note for source in sources for note in source.notes]
    notes += [*halves.notes, *notes_of(halves.train), *notes_of(halves.held_out)]
    if reading.value_range != "auto":
        notes.append(range_note(reading.value_range))
    for note in notes:
        say_once(note, is_shown=is_shown)
    loader = Loader(
        halves.train,
        sampling=sampling,
        batch_size=config.optim.batch,
        seed=config.seed,
        device=fabric.device,
        rank=fabric.global_rank,
        world=fabric.world_size,
        limit=config.data.limit,
    )
    classes = halves.train.classes
    return Data(
        loader=loader,
        held_out=halves.held_out,
        sampling=sampling,
        num_classes=len(classes) if classes else 0,
        left_out=sources[0].left_out,
        notes=tuple(dict.fromkeys(notes)),
        value_range=reading.value_range,
    )


def check_data(config: RunConfig, spec: TaskSpec) -> None:
    """Open both halves of the data without reading them, so that what is wrong with them is said."""
    shards = shards_to_stream(config, spec)
    if shards is None:
        open_sources(config, spec)
        return
    shards.part("held_out", held_out=config.data.held_out)
    check_share(shards.part("train", held_out=config.data.held_out), config.machine.world)


def content_of(spec: TaskSpec, data: Data) -> str:
    """Digest of the samples of both halves, with their labels where the task learns from them."""
    known = [data.loader.fingerprint, data.held_out.fingerprint]
    if "label" in spec.needs:
        halves = (data.samples, data.held_out)
        known += [repr((half.classes, None if half.labels is None else half.labels.tolist())) for half in halves]
    return digest(known)


def _open_streamed(shards: Shards, config: RunConfig, sampling: Sampling, fabric: Fabric) -> Data:
    found = open_streamed(shards, config, fabric, sampling)
    notes = [found.note, *found.held_out.notes]
    if found.value_range != "auto":
        notes.append(range_note(found.value_range))
    for note in notes:
        say_once(note, is_shown=fabric.is_global_zero)
    return Data(
        loader=found.stream,
        held_out=found.held_out,
        sampling=sampling,
        num_classes=0,
        notes=tuple(notes),
        value_range=found.value_range,
        is_streamed=True,
    )


def _pack_both(
    sources: list[Source], config: RunConfig, reading: DataSettings, sampling: Sampling, *, is_shown: bool
) -> Halves:
    """No more than --limit asks for; where nothing of one half can be read, a share of the other takes its place."""
    how: dict[str, Any] = {"size": config.network.size, "is_shown": is_shown}

    def opened(source: Source) -> Samples:
        title, count, seed = "packing train", reading.limit, config.seed
        if source is not sources[0]:
            title, seed = "packing held-out", 0
            count = None if count is None else max(count, LEAST_HELD_OUT)
        return open_some(
            source,
            count,
            lambda part: pack_with_maps(part, reading, sampling, title=title, **how),
            seed=seed,
        )

    return open_halves(sources[0], sources[1], opened, share=reading.held_out or LEAST_SHARE)

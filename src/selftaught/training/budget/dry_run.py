"""What a run would read, compute and write, from a few samples and a few steps; nothing is kept."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.core.files import cache_root, temporary_cache
from selftaught.core.progress import working
from selftaught.core.settings.values import parse_seconds
from selftaught.data.files.file_tree import lost_files
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.cache import clear_stores, list_stores
from selftaught.data.store.open import is_packed
from selftaught.data.store.parts import LEAST_HELD_OUT
from selftaught.data.stream import Stream
from selftaught.tasks.base import PretextTask
from selftaught.tasks.resolve import with_classes
from selftaught.tasks.spec import TaskSpec
from selftaught.tasks.starting_weights import name_starts, read_starts
from selftaught.training.budget.length import choose_stem
from selftaught.training.budget.schedule import (
    HELD_OUT_SAMPLES,
    Schedule,
    few_held_out,
    looks_between,
    repeats,
    too_short,
    warning_of_length,
)
from selftaught.training.budget.timekeeping import Costs, plan
from selftaught.training.budget.trial import checkpoint_bytes, measure
from selftaught.training.data import Data, open_data, open_sources
from selftaught.training.first_checks import check_asked, check_opened
from selftaught.training.run_folder import RunFolder
from selftaught.training.setup import build_task, resolve, spec_for, with_batch
from selftaught.training.streamed import shards_to_stream

try:
    resource: Any = importlib.import_module("resource")
except ImportError:  # Windows
    resource = None

IMAGES, VIDEOS = 256, 8
"""Samples that are decoded to see what of the data can be read, and how long decoding takes."""
SECONDS = 5.0
"""In which the speed of a step is measured."""
MOST_LISTED = 20
OTHER_FILES = 1e6
"""About how many bytes a run folder holds beside its checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How many samples there are, of which a few were read.

    Attributes:
        train: training samples, as far as is known without decoding them; unreadable ones by their share of the few.
        held_out: the same of the held-out ones.
        read: samples that were decoded.
        skipped: (path, reason) of those of them that cannot be used, and of what else the data hold.
        seconds: that decoding them took.
        bytes: that they take in the packed store.
        is_packed: whether all of them are packed already.
        is_streamed: whether they are read in order and never packed.
        is_estimate: whether the counts are.
    """

    train: int
    held_out: int
    read: int
    skipped: Sequence[tuple[str, str]]
    seconds: float
    bytes: int
    is_packed: bool
    is_streamed: bool = False
    is_estimate: bool

    @property
    def times(self) -> float:
        """How many times as many samples there are as were read."""
        return (self.train + self.held_out) / max(1, self.read)

    def scaled(self, costs: Costs) -> Costs:
        """Costs that were measured with the few as they are with all."""
        if not costs.between:
            return costs
        return replace(costs, refresh=costs.refresh * self.times, between=max(1, round(costs.between * self.times)))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The run that is asked for, with everything filled in.

    Attributes:
        per_epoch: steps of a pass over all samples.
        preparing: seconds until the first step.
    """

    config: RunConfig
    task: PretextTask
    costs: Costs
    schedule: Schedule
    per_epoch: float
    preparing: float


def dry_run(asked: RunConfig, *, begin: float) -> dict[str, Any]:
    """What `train` would do with these settings, measured on one device; no file is left behind.

    An empty `out` stands for a run folder somewhere in the working directory.

    Returns:
        The task and its encoder, samples and what is left out of them, steps, seconds, bytes of memory and disk.
    """
    if asked.folder.resume:
        raise ValueError("--dry-run is about a run from its first step; leave out --resume")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_available() else []):
        spec = spec_for(asked)
        asked = name_starts(with_batch(asked, spec), spec)
        check_asked(asked, spec)
        if asked.folder.out:
            RunFolder(Path(asked.folder.out)).check(asked)
        started = read_starts(asked, spec).config
        world = asked.machine.world
        alone = started.replace(devices=1, num_nodes=1, strategy="auto", batch_size=asked.optim.batch // world)
        fabric = make_fabric(alone.machine, is_partly_used=False)
        cache = cache_root()
        with temporary_cache():
            is_there = _is_packed(alone, spec, cache)
            data, counted = _read_some(alone, spec, fabric, is_there=is_there)
            try:
                spec = with_classes(spec, data.num_classes)
                check_opened(alone, spec, data)
                ready = time.monotonic() - begin
                found = _planned(asked, alone, spec, data, counted, fabric, ready=ready)
                place = {"device": fabric.device.type, "memory": _memory(fabric.device)}
                disk = {"disk": _disk(Path(asked.folder.out), found, counted, cache)}
                return _of_the_run(asked, spec, counted, found) | _of_the_data(spec, data, counted) | place | disk
            finally:
                data.loader.close()
                with contextlib.suppress(ValueError):
                    clear_stores()


def _is_packed(config: RunConfig, spec: TaskSpec, cache: Path) -> bool:
    """Whether both halves of the data are in the user's cache already, or are never packed."""
    if config.data.limit is not None or shards_to_stream(config, spec) is not None:
        return False
    sources = open_sources(config, spec)
    if any(source.is_endless for source in sources):
        return True
    reading = with_range(config.data, sources[0])
    return all(is_packed(source, reading, size=config.network.size, cache=cache) for source in sources)


def _read_some(config: RunConfig, spec: TaskSpec, fabric: Fabric, *, is_there: bool) -> tuple[Data, Counted]:
    """A few samples of both halves, as the run would read them, and how many there are."""
    if shards_to_stream(config, spec) is not None:
        data = open_data(config, spec, fabric)
        lost = lost_files(data.skipped)
        read = len(data.held_out) + lost
        return data, Counted(
            train=max(1, round(data.loader.count * len(data.held_out) / read)),
            held_out=len(data.held_out),
            read=read,
            skipped=data.skipped,
            seconds=0.0,  # the run looks at the held-out shards as well
            bytes=0,
            is_packed=True,
            is_streamed=True,
            is_estimate=True,
        )
    sources = open_sources(config, spec)
    few = VIDEOS if any("video" in source.provides for source in sources) else IMAGES
    wanted = [_wanted(source, config.data.limit, half) for half, source in enumerate(sources)]
    share = min(1.0, few / max(1, wanted[0]))
    begin = time.monotonic()
    # The limit of the cache shrinks with the data, so that they are kept in the way that all of them would be.
    some = config.replace(limit=max(4, min(few, wanted[0])), cache_limit=max(1e-9, config.data.cache_limit * share))
    data = open_data(some, spec, fabric)
    seconds = time.monotonic() - begin
    lost = lost_files(data.skipped)
    read = data.loader.count + len(data.held_out) + lost
    readable = 1 - lost / max(1, read)
    is_all = data.loader.count + len(data.held_out) + lost >= sum(wanted)
    return data, Counted(
        train=data.loader.count if is_all else round(wanted[0] * readable),
        held_out=len(data.held_out) if is_all else max(1, round(wanted[1] * readable)),
        read=read,
        skipped=data.skipped,
        seconds=seconds,
        bytes=sum(store.bytes for store in list_stores()),
        is_packed=is_there,
        is_estimate=not is_all,
    )


def _wanted(source: Source, limit: int | None, half: int) -> int:
    """Samples of a half that a run reads: no more than --limit asks for, of the held-out ones a few at least."""
    if limit is None:
        return len(source)
    return min(len(source), limit if half == 0 else max(limit, LEAST_HELD_OUT))


def _planned(
    asked: RunConfig, alone: RunConfig, spec: TaskSpec, data: Data, counted: Counted, fabric: Fabric, *, ready: float
) -> Plan:
    """The settings and the length of the run, and what its parts take; `ready` seconds have passed until now."""
    packing = 0.0 if counted.is_packed else counted.seconds * max(1.0, counted.times)
    preparing = max(0.0, ready - counted.seconds) + packing
    per_epoch = counted.train * data.sampling.clips_per_video / asked.optim.batch
    length = asked.length
    held_out = min(counted.held_out, HELD_OUT_SAMPLES)
    if length.budget is None:
        steps = length.steps or max(1, round((10.0 if length.epochs is None else length.epochs) * per_epoch))
        alone = alone.replace(steps=steps, epochs=None)

    def fitting(costs: Costs, of: RunConfig) -> Schedule:
        assert length.budget is not None
        left, every = parse_seconds(length.budget) - preparing, of.folder.evaluate_every
        known = {"per_epoch": per_epoch, "evaluate_every": every, "held_out": held_out}
        return plan(counted.scaled(costs), left, budget=length.budget, **known)  # type: ignore[arg-type]

    with working("taking a few steps"):
        config = resolve(alone, spec, data)
        if length.budget is not None:
            config, _ = choose_stem(config, spec, data, fabric, fitting, allowed=SECONDS / 2)
        task = build_task(spec, config)
        measured = measure(config, task, data, fabric, allowed=SECONDS, is_whole=True)
        if isinstance(data.loader, Stream):  # of which a step waits only where a window begins
            measured = replace(measured, step=max(measured.step, data.loader.seconds_per_step))
            preparing += data.loader.seconds_per_step * data.loader.steps_per_window
    if length.budget is not None:
        schedule = fitting(measured, config)
    else:
        look = held_out / asked.optim.batch * 2 / 3
        every = looks_between(steps, per_epoch, config.folder.evaluate_every, look)
        schedule = Schedule(parts=((0, steps),), look_every=every, look_samples=held_out)
    return Plan(
        config=config,
        task=task,
        costs=counted.scaled(measured),
        schedule=schedule,
        per_epoch=per_epoch,
        preparing=preparing,
    )


def _of_the_run(asked: RunConfig, spec: TaskSpec, counted: Counted, found: Plan) -> dict[str, Any]:
    """What would be trained, and for how long."""
    config, schedule, world = found.config, found.schedule, asked.machine.world
    kept = found.task.get_submodule(config.network.kept)
    warnings = (
        warning_of_length(schedule.steps, found.per_epoch) if too_short(schedule.steps, found.per_epoch) else "",
        repeats(asked.optim.batch, found.per_epoch),
        few_held_out(counted.held_out),
    )
    seconds = {"preparing": found.preparing, "training": found.costs.left(0, schedule)}
    return {
        "dry_run": True,
        "task": spec.short,
        "encoder": config.network.architectures[config.network.kept],
        "size": config.network.size,
        "parameters": sum(p.numel() for p in kept.parameters()),
        "task_parameters": sum(p.numel() for p in found.task.parameters()),
        "batch_size": asked.optim.batch,
        "steps": schedule.steps,
        "epochs": schedule.steps / found.per_epoch,
        "step_seconds": found.costs.step,
        "evaluations": max(1, -(-schedule.steps // schedule.look_every)),
        "optimizer": config.optim.optimizer,
        # That of a recipe grows with the batch, of which one device has its share.
        "lr": config.optim.lr if asked.optim.lr is not None else (config.optim.lr or 0.0) * world,
        "precision": config.machine.precision,
        "devices": world,
        "seconds": round(sum(seconds.values()), 1),
        "seconds_of": {name: round(value, 1) for name, value in seconds.items()},
        "warnings": [warning for warning in warnings if warning],
    }


def _of_the_data(spec: TaskSpec, data: Data, counted: Counted) -> dict[str, Any]:
    """What would be read, and what of it cannot be used."""
    lost = lost_files(counted.skipped)
    return {
        "unit": spec.unit,
        "train_samples": counted.train,
        "heldout_samples": counted.held_out,
        "is_estimate": counted.is_estimate,
        "decoded": counted.read,
        "skipped": lost,
        "skipped_files": [list(row) for row in counted.skipped[:MOST_LISTED]],
        "left_out": dict(data.left_out.counts),
        "is_packed": counted.is_packed,
        "is_streamed": counted.is_streamed,
        "notes": list(data.notes),
    }


def _memory(device: torch.device) -> dict[str, int]:
    """Most bytes that this process has needed so far: of the host, and of the device where it is another."""
    found = {}
    if resource is not None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["host"] = peak if sys.platform == "darwin" else peak * 1024
    if device.type == "cuda":
        found["device"] = torch.cuda.max_memory_reserved(device)
    return found


def _disk(out: Path, found: Plan, counted: Counted, cache: Path) -> dict[str, dict[str, Any]]:
    """Bytes that the packed store and the run folder take, and what is free there."""
    store = 0 if counted.is_packed else counted.bytes * counted.times
    places = {
        "store": (cache, store),
        "run": (out, 2 * checkpoint_bytes(found.task, found.config) + OTHER_FILES),
    }
    return {
        name: {"path": str(path), "bytes": round(needed), "free": _free(path)}
        for name, (path, needed) in places.items()
    }


def _free(path: Path) -> int:
    """Free bytes of the disk that a path is or would be on."""
    there = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))
    return shutil.disk_usage(there).free

"""What is wrong with a run as it was asked for, said before data are read and anything is written."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import nullcontext
from itertools import chain
from typing import Any

import torch

from selftaught.core.config import RunConfig
from selftaught.core.devices import check_sharding
from selftaught.core.errors import own_code
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Given
from selftaught.data.loader import ordered_batches
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import with_range
from selftaught.data.sources.world.settings import is_world, read_settings
from selftaught.data.store.parts import open_some
from selftaught.data.store.samples import Samples
from selftaught.tasks.base import PretextTask
from selftaught.tasks.named_encoders import with_encoders
from selftaught.tasks.resolve import with_classes
from selftaught.tasks.spec import TaskSpec
from selftaught.training.contract.check_task import check_contract
from selftaught.training.data import Data, open_sources
from selftaught.training.setup import build_task, pace_of
from selftaught.training.streamed import shards_to_stream
from selftaught.training.trackers.open import check_trackers

TRIED = 8
"""Samples that a task of the user's own is tried with."""
FOLLOWED = 32
"""Clips of each half of the data of which the camera must move in one."""
STILL = 1e-6
"""Metres, or sine of an angle, that a camera moves which stands still."""


def check_asked(asked: RunConfig, spec: TaskSpec) -> PretextTask:
    """Make the task and its encoder once, so that a name, size, stem, setting or optimiser that cannot be is refused.

    Returns that task, of shapes alone where that will do; the global random state stays as it was.
    """
    check_sharding(asked.machine)
    _check_world(asked, spec)
    check_trackers(asked.folder)
    optimizer = spec.recipe.optimizer if asked.optim.optimizer == "auto" else asked.optim.optimizer
    pace_of(spec.recipe, optimizer, asked.optim, task=spec.name)
    spec, config = with_classes(spec, 2), with_encoders(asked, spec)  # how many there are is not known yet
    task = _without_numbers(spec, config)
    if asked.machine.is_sharded and (reason := task.needs_whole()):
        name = asked.machine.strategy
        raise ValueError(f"--strategy {name} cannot train task {asked.task!r}: {reason}; give --strategy ddp")
    return task


def _without_numbers(spec: TaskSpec, config: RunConfig) -> PretextTask:
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build_task(spec, config)
        except ValueError:
            raise
        except Exception as error:
            # A task may compute with numbers while it is made.
            logging.getLogger(__name__).debug("made with numbers, as without: %s", error)
            with own_code(f"task {spec.name!r}: __init__") if spec.is_own else nullcontext():
                return build_task(spec, config)


def check_opened(asked: RunConfig, spec: TaskSpec, data: Data) -> None:
    """Refuse data from which the task learns nothing, and a task of the user's own that breaks the contract."""
    _check_camera(asked, spec, data)
    if spec.is_own:
        samples = data.held_out if data.is_streamed else data.samples
        _try(asked, spec, samples, count=data.loader.count)


def _check_camera(asked: RunConfig, spec: TaskSpec, data: Data) -> None:
    """Refuse poses that are the same in all frames of some clips, where the task learns from their change."""
    names = [name for name, one in spec.inputs.items() if isinstance(one, Given) and one.what == "pose"]
    if not spec.needs_moving_camera or not names:
        return
    looked = 0
    how: dict[str, Any] = {"sampling": spec.sampling, "batch_size": TRIED, "device": torch.device("cpu")}
    for batch in chain.from_iterable(
        ordered_batches(samples, **how, limit=FOLLOWED) for samples in (data.held_out, data.samples)
    ):
        pose = batch[names[0]]
        looked += len(pose)
        if bool((pose - pose[:, :1]).abs().amax() > STILL):
            return
    raise ValueError(
        f"task {spec.short!r} learns from how the camera moves, but its poses do not change within any of {looked} "
        f"clips of {asked.data.path}; give recordings of a camera that moves, or choose another task"
    )


def _check_world(asked: RunConfig, spec: TaskSpec) -> None:
    if spec.needs_moving_camera and is_world(asked.data.path) and read_settings(asked.data.path).camera == "still":
        raise ValueError(
            f"task {spec.short!r} learns from how the camera moves, but camera=still of {asked.data.path} keeps "
            "it where it is; leave camera=still out, or choose another task"
        )


def try_own_task_early(asked: RunConfig, spec: TaskSpec) -> None:
    """Hold a task of the user's own to the contract before the data are packed: a few of them are."""
    if not spec.is_own or shards_to_stream(asked, spec) is not None:
        return
    source = open_sources(asked, spec)[0]
    reading = with_range(asked.data, source)

    def packed(some: Source) -> Samples:
        return pack_with_maps(some, reading, spec.sampling, size=asked.network.size, title="packing a few")

    few = open_some(source, TRIED, packed, seed=0)
    count = len(source) if asked.data.limit is None else min(len(source), asked.data.limit)
    _try(asked, with_classes(spec, len(few.classes or ())), few, count=count)


def _try(asked: RunConfig, spec: TaskSpec, samples: Samples, *, count: int) -> None:
    """The contract of tasks, held with a few samples; `count` training samples there are."""
    device = torch.device("cpu")
    batches = ordered_batches(samples, sampling=spec.sampling, batch_size=TRIED, device=device, limit=TRIED)
    batch = next(iter(batches))
    batch = dataclasses.replace(batch, index=torch.unique(batch.index, return_inverse=True)[1])
    config = with_encoders(asked, spec)
    check_contract(spec.name, lambda seed: build_task(spec, config.replace(seed=seed)), batch, count=count)

"""What is wrong with a run as it was asked for, said before data are read and anything is written."""

from __future__ import annotations

import dataclasses
import logging

import torch

from selftaught.core.config import RunConfig
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.loader import ordered_batches
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.parts import open_some
from selftaught.data.store.samples import Samples
from selftaught.tasks.base import PretextTask, sampling_of
from selftaught.tasks.catalogue import load_task, settings_for, task_info
from selftaught.training.contract.check_task import check_contract
from selftaught.training.data import Data, open_sources
from selftaught.training.setup import build_task, pace_of, recipe_of, seen_as
from selftaught.training.streamed import shards_to_stream

TRIED = 8
"""Samples that a task of the user's own is tried with."""


def check_asked(asked: RunConfig) -> PretextTask:
    """Make the task and its encoder once, so that a name, size, stem, setting or optimiser that cannot be is refused.

    Returns that task, of shapes alone where that will do; the global random state stays as it was.
    """
    config = _nearly_resolved(asked)
    recipe = recipe_of(config.task, config.task_settings)
    pace_of(recipe, recipe.optimizer if config.optimizer == "auto" else config.optimizer, config)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build_task(config)
        except ValueError:
            raise
        except Exception as error:
            # A task may compute with numbers while it is made.
            logging.getLogger(__name__).debug("made with numbers, as without: %s", error)
            return build_task(config)


def try_own_task(asked: RunConfig, data: Data) -> None:
    """Hold a task of the user's own to the contract with a few training samples; says at once what it lacks."""
    if _is_own(asked.task):
        _try(asked, data.samples, data.sampling, count=data.loader.count, classes=data.num_classes)


def try_own_task_early(asked: RunConfig) -> None:
    """As `try_own_task`, before the data are packed: a few of them are."""
    if not _is_own(asked.task) or shards_to_stream(asked) is not None:
        return
    source = open_sources(asked)[0]
    config = with_range(_nearly_resolved(asked), source)
    task_class = load_task(asked.task)
    sampling = sampling_of(task_class, task_class.Config(**settings_for(task_info(asked.task), asked.task_settings)))
    few = open_some(source, TRIED, lambda some: pack_with_maps(some, config, sampling, title="packing a few"), seed=0)
    count = len(source) if asked.limit is None else min(len(source), asked.limit)
    _try(asked, few, sampling, count=count, classes=len(few.classes or ()))


def _try(asked: RunConfig, samples: Samples, sampling: Sampling, *, count: int, classes: int) -> None:
    """The contract of tasks, held with a few samples; `count` training samples there are."""
    device = torch.device("cpu")
    batches = ordered_batches(samples, sampling=sampling, batch_size=TRIED, device=device, limit=TRIED)
    batch = next(iter(batches))
    batch = dataclasses.replace(batch, index=torch.unique(batch.index, return_inverse=True)[1])
    config = _nearly_resolved(asked, classes)
    check_contract(asked.task, lambda seed: build_task(dataclasses.replace(config, seed=seed)), batch, count=count)


def _nearly_resolved(asked: RunConfig, classes: int = 2) -> RunConfig:
    """The settings of which the task is made, as far as they are known before the data are read."""
    info = task_info(asked.task)
    settings = settings_for(info, asked.task_settings)
    if "label" in info.needs:
        settings["classes"] = classes
    return dataclasses.replace(asked, encoder=seen_as(load_task(asked.task), asked.encoder), task_settings=settings)


def _is_own(name: str) -> bool:
    info = task_info(name)
    return any(part.family == "own" for part in info.parts or (info,))

"""What is wrong with a run as it was asked for, said before data are read and anything is written."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import torch

from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.loader import ordered_batches
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.open import pack
from selftaught.data.store.parts import open_some
from selftaught.data.store.samples import Samples
from selftaught.tasks.base import Known, PretextTask, Refreshed
from selftaught.tasks.catalogue import load_task, settings_for, task_info
from selftaught.training.data import Data, open_sources
from selftaught.training.players import scalars_of, scalars_of_turns
from selftaught.training.setup import build_task, pace_of, recipe_of, seen_as
from selftaught.training.streamed import shards_to_stream

TRIED = 8
"""Samples that a task of the user's own is tried with."""
REFRESHED = 2048
"""Samples that its `before_epoch` is tried with at most."""


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
    """Ask a task of the user's own for the loss of a few held-out samples, so that what it lacks is said at once."""
    if _is_own(asked.task):
        _try(asked, data.held_out, data.sampling, count=data.loader.count, classes=data.num_classes)


def try_own_task_early(asked: RunConfig) -> None:
    """As `try_own_task`, before the data are packed: a few of them are."""
    if not _is_own(asked.task) or shards_to_stream(asked) is not None:
        return
    source = open_sources(asked)[0]
    config = with_range(_nearly_resolved(asked), source)
    task_class = load_task(asked.task)
    sampling = task_class.sampling(task_class.Config(**settings_for(task_info(asked.task), asked.task_settings)))
    few = open_some(source, TRIED, lambda some: pack(some, config, sampling, title="packing a few"), seed=0)
    count = len(source) if asked.limit is None else min(len(source), asked.limit)
    _try(asked, few, sampling, count=count, classes=len(few.classes or ()))


@torch.no_grad()
def _try(asked: RunConfig, samples: Samples, sampling: Sampling, *, count: int, classes: int) -> None:
    """The loss of a few samples, after the pseudo-labels of all `count` training samples where the task makes those."""
    device = torch.device("cpu")
    labels = "label" in task_info(asked.task).needs
    batches = ordered_batches(samples, sampling=sampling, batch_size=TRIED, device=device, limit=TRIED, labels=labels)
    batch = next(iter(batches))
    batch = dataclasses.replace(batch, index=torch.unique(batch.index, return_inverse=True)[1])
    with torch.random.fork_rng(devices=[]):
        task = build_task(_nearly_resolved(asked, classes)).eval()
        if task.refresh_epochs() and not _refreshed(task, asked.task, batch, count):
            return
        example = task.pseudo_label(batch, generator("try", device=device))
        players = tuple(task.players()) or ("",)
        turns = [_with_loss(task, scalars_of(task, task, example, player)) for player in players]
    scalars = scalars_of_turns(turns, task.players())
    if (metric := task.metric_name()) not in scalars:
        raise ValueError(
            f"--task {asked.task}: its metric is {metric!r}, but the dict that loss returns holds "
            f"{', '.join(scalars)}; add {metric!r} to it, or return another name from metric_name"
        )


def _refreshed(task: PretextTask, name: str, batch: Batch, count: int) -> bool:
    """Whether `before_epoch` takes samples, as many as there are up to `REFRESHED`, whose features are drawn.

    False where it refuses so few; there may be enough of them when all are read.
    """
    assert batch.image is not None
    features = task.embed(batch.image).float().cpu()
    rows = min(count, REFRESHED)
    rng = generator("try", device=torch.device("cpu"))
    drawn = features.mean(0) + torch.randn(rows, features.shape[1], generator=rng) * (features.std() + 1e-3)
    try:
        made = task.before_epoch(Known(index=torch.arange(rows), features=drawn, labels=None), rows, rng)
    except ValueError:
        if rows == count:
            raise
        return False
    if not isinstance(made, Refreshed):
        raise ValueError(f"--task {name}: before_epoch must return Refreshed, got {type(made).__name__}")
    return True


def _nearly_resolved(asked: RunConfig, classes: int = 2) -> RunConfig:
    """The settings of which the task is made, as far as they are known before the data are read."""
    info = task_info(asked.task)
    settings = settings_for(info, asked.task_settings)
    if "label" in info.needs:
        settings["classes"] = classes
    return dataclasses.replace(asked, encoder=seen_as(load_task(asked.task), asked.encoder), task_settings=settings)


def _with_loss(task: PretextTask, scalars: Any) -> Any:
    if not isinstance(scalars, dict) or "loss" not in scalars:
        held = f"holds {', '.join(map(str, scalars)) or 'nothing'}" if isinstance(scalars, dict) else "is no dict"
        raise ValueError(
            f"task {type(task).__name__}: loss must return a dict that holds 'loss', but what it returns {held}"
        )
    return scalars


def _is_own(name: str) -> bool:
    info = task_info(name)
    return any(part.family == "own" for part in info.parts or (info,))

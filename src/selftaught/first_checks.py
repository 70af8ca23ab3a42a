"""What is wrong with a run as it was asked for, said before data are read and anything is written."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import torch

from selftaught.catalogue import load_task, settings_for, task_info
from selftaught.config import RunConfig
from selftaught.loader import ordered_batches
from selftaught.players import scalars_of, scalars_of_turns
from selftaught.prepare import Data, build_task, pace_of, recipe_of, seen_as
from selftaught.randomness import generator
from selftaught.tasks.base import PretextTask


def check_asked(asked: RunConfig) -> None:
    """Make the task and its encoder once, so that a name, size, stem, setting or optimiser that cannot be is refused.

    Shapes alone are made where that will do; the global random state stays as it was.
    """
    config = _nearly_resolved(asked)
    recipe = recipe_of(config.task, config.task_settings)
    pace_of(recipe, recipe.optimizer if config.optimizer == "auto" else config.optimizer, config)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                build_task(config, 2)
        except ValueError:
            raise
        except Exception as error:
            # A task may compute with numbers while it is made.
            logging.getLogger(__name__).debug("made with numbers, as without: %s", error)
            build_task(config, 2)


@torch.no_grad()
def try_own_task(asked: RunConfig, data: Data) -> None:
    """Ask a task of the user's own for the loss of a few held-out samples, so that what it lacks is said at once."""
    if not _is_own(asked.task):
        return
    device = torch.device("cpu")
    batches = ordered_batches(
        data.held_out, sampling=data.sampling, batch_size=8, device=device, limit=8, labels=data.loader.labels
    )
    with torch.random.fork_rng(devices=[]):
        task = build_task(_nearly_resolved(asked), data.num_classes).eval()
        if task.refresh_epochs():
            return  # it has no pseudo-labels before the loop has asked for all of them at once
        example = task.pseudo_label(next(iter(batches)), generator("try", device=device))
        turns = [_with_loss(task, scalars_of(task, task, example, player)) for player in tuple(task.players) or ("",)]
    scalars = scalars_of_turns(turns, task.players)
    if task.metric not in scalars:
        raise ValueError(
            f"--task {asked.task}: its metric is {task.metric!r}, but the dict that loss returns holds "
            f"{', '.join(scalars)}; add {task.metric!r} to it, or name another metric"
        )


def _nearly_resolved(asked: RunConfig) -> RunConfig:
    """The settings of which the task is made, as far as they are known before the data are read."""
    info = task_info(asked.task)
    settings = settings_for(info, asked.task_settings)
    if "label" in info.needs:
        settings["classes"] = 2
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

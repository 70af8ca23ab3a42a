"""The task of a run, its recipe, and every setting that was left open."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from selftaught.core.config import Optimizer, RunConfig
from selftaught.core.precision import precision_of
from selftaught.core.randomness import seed_from
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import PREFIXES, TIMM
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.tasks.base import Pace, PretextTask, Recipe
from selftaught.tasks.catalogue import load_task, settings_for, task_info
from selftaught.training.data import Data


def resolve(asked: RunConfig, data: Data) -> RunConfig:
    """Fill in what was left open; steps stay open where a time budget will set them."""
    info = task_info(asked.task)
    task_class = load_task(asked.task)
    settings = settings_for(info, asked.task_settings)
    if "label" in info.needs:
        settings["classes"] = data.num_classes
    recipe = recipe_of(asked.task, settings)
    optimizer: Optimizer = recipe.optimizer if asked.optimizer == "auto" else asked.optimizer
    pace = pace_of(recipe, optimizer, asked)
    steps, epochs = asked.steps, asked.epochs
    if steps is None and asked.budget is None:
        steps = max(1, round((10.0 if epochs is None else epochs) * data.loader.steps_per_epoch))
    return dataclasses.replace(
        asked,
        encoder=seen_as(task_class, asked.encoder),
        task_settings=settings,
        optimizer=optimizer,
        lr=pace.lr,
        weight_decay=pace.weight_decay,
        final_weight_decay=pace.final_weight_decay,
        momentum=pace.momentum,
        warmup=recipe.warmup if asked.warmup is None else asked.warmup,
        clip=recipe.clip if asked.clip is None else asked.clip,
        precision=precision_of(asked, data.loader.device),
        steps=steps,
        value_range=data.value_range,
        epochs=None,
        resume=False,
        overwrite=False,
    )


def pace_of(recipe: Recipe, optimizer: Optimizer, asked: RunConfig) -> Pace:
    """Peak learning rate at the run's batch size, weight decay and momentum: those asked for, else the recipe's.

    Each by itself: `--weight-decay` leaves the recipe's final weight decay as it is. AdamW has no momentum.
    """
    known = recipe.pace(optimizer)
    if known is None and asked.lr is None:
        raise ValueError(
            f"task {asked.task!r} has no learning rate for --optimizer {optimizer}, only for {recipe.optimizer}; "
            f"give --lr, or leave --optimizer out"
        )
    if optimizer == "adamw" and asked.momentum is not None:
        raise ValueError(
            f"--momentum is for sgd and lars, the optimizer is adamw, got {asked.momentum}; leave it out, or give "
            "--optimizer sgd"
        )
    lr = known.lr * asked.batch_size / 256 if asked.lr is None and known is not None else asked.lr
    decay = recipe.weight_decay if known is None else known.weight_decay
    assert lr is not None
    final = None if known is None else known.final_weight_decay
    momentum = recipe.momentum if known is None or known.momentum is None else known.momentum
    if asked.momentum is not None:
        momentum = asked.momentum
    return Pace(
        lr=lr,
        weight_decay=decay if asked.weight_decay is None else asked.weight_decay,
        final_weight_decay=final if asked.final_weight_decay is None else asked.final_weight_decay,
        momentum=None if optimizer == "adamw" else momentum,
    )


def recipe_of(task: str, settings: dict[str, Any]) -> Recipe:
    """The task's recipe under its settings, as given or complete."""
    task_class = load_task(task)
    return task_class.recipe_for(task_class.Config(**settings_for(task_info(task), settings)))


def is_partly_used(task: PretextTask, encoder: str) -> bool:
    """Whether a step may leave parameters of the task without a gradient.

    In one player's turn the parameters of the others have none, nor has the pooling of some timm models in tasks that
    read the map before it.
    """
    return bool(task.players()) or TIMM in encoder


def seen_as(task_class: type[PretextTask], encoder: str) -> str:
    """The encoder's name with the prefix that the task asks for, unless it has one."""
    return encoder if encoder.startswith(PREFIXES) else task_class.encoders["encoder"].prefix + encoder


def build_task(config: RunConfig) -> PretextTask:
    """The task with a fresh encoder, weights from the run's seed."""
    task_class = load_task(config.task)
    settings = task_class.Config(**settings_for(task_info(config.task), config.task_settings))
    return make_task(config.task, task_class, settings, config)


def make_task(name: str, task_class: type[PretextTask], settings: Any, config: RunConfig) -> PretextTask:
    """As `build_task`, of a class that needs no file; `name` and `settings` are used in place of those in `config`."""
    torch.manual_seed(seed_from(config.seed, "weights"))
    encoder = build_encoder(config.encoder, size=config.size, stem=config.stem)
    kind = task_class.encoders["encoder"].kind
    if encoder.kind != kind:
        raise ValueError(
            f"task {name!r} trains an encoder for {kind}s, but {config.encoder!r} takes "
            f"{encoder.kind}s; 'selftaught encoders' lists the kinds"
        )
    task = task_class(encoder, settings, config.size)
    trim_kernels(task)
    return task

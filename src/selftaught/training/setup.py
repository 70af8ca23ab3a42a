"""The task of a run, its recipe, and every setting that was left open."""

from __future__ import annotations

import math

import torch

from selftaught.core.config import RunConfig
from selftaught.core.precision import precision_of
from selftaught.core.randomness import seed_from
from selftaught.core.settings.groups import Optimizer, OptimSettings
from selftaught.core.settings.values import COLOURS
from selftaught.data.inputs import Clip
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import TIMM
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.tasks.base import Pace, PretextTask, Recipe
from selftaught.tasks.catalogue import task_info
from selftaught.tasks.named_encoders import build_encoders, task_with, with_encoders
from selftaught.tasks.resolve import resolve_task
from selftaught.tasks.spec import TaskSpec
from selftaught.tasks.starting_weights import Starts
from selftaught.training.data import Data


def spec_for(config: RunConfig) -> TaskSpec:
    """The task of a run under its settings; made once, at the start, and handed on."""
    spec = _spec_for(config)
    channels = config.data.channels
    if channels != COLOURS and not all(one.cls.any_channels for one in (spec.parts.values() or [spec])):
        known = "simclr, moco, rotation, autoencoder or mae"
        raise ValueError(
            f"task {spec.name!r} learns from the three channels of colours, got --channels {channels}; choose a task "
            f"for any channels, such as {known}, or leave --channels out"
        )
    return spec


def _spec_for(config: RunConfig) -> TaskSpec:
    network = config.network
    if network.frames is network.stride is network.fps is None:
        return resolve_task(config.task, config.task_settings)
    asked = {"frames": network.frames, "stride": network.stride}
    names = {option.name: option.name.rpartition(".")[2] for option in task_info(config.task).options}
    given = {name: asked[last] for name, last in names.items() if asked.get(last) is not None}
    spec = resolve_task(config.task, given | config.task_settings)
    if not any(isinstance(one, Clip) for one in spec.inputs.values()):
        raise ValueError(
            f"task {spec.name!r} learns from single frames, not from clips; leave out --frames, --stride and --fps"
        )
    if network.frames is not None and "frames" not in names.values():
        raise ValueError(f"task {spec.name!r} has no setting for the frames of a clip; leave out --frames")
    return spec.spaced(stride=None if "stride" in names.values() else network.stride, fps=network.fps)


def with_batch(asked: RunConfig, spec: TaskSpec) -> RunConfig:
    """The settings with the task's batch size where none is given; a multiple of the parts it is cut into."""
    if asked.optim.batch_size is not None:
        return asked
    parts = asked.optim.accumulate * asked.machine.world
    return asked.replace(batch_size=math.lcm(spec.batch_size, parts) if spec.batch_size % parts else spec.batch_size)


def clip_seen(spec: TaskSpec) -> dict[str, float]:
    """How clips are cut where the kept encoder is evaluated, as plain values; empty for the usual 16 frames."""
    clip = spec.clip
    if clip is None or spec.kept_spec.kind != "video":
        return {}
    return {"frames": clip.frames} | ({"stride": clip.stride} if clip.fps is None else {"fps": clip.fps})


def resolve(asked: RunConfig, spec: TaskSpec, data: Data) -> RunConfig:
    """Fill in what was left open; steps stay open where a time budget will set them.

    `spec` knows the number of classes of the data where the task learns from labels.
    """
    recipe = spec.recipe
    optimizer: Optimizer = recipe.optimizer if asked.optim.optimizer == "auto" else asked.optim.optimizer
    pace = pace_of(recipe, optimizer, asked.optim, task=spec.name)
    steps, epochs = asked.length.steps, asked.length.epochs
    if steps is None and asked.length.budget is None:
        steps = max(1, round((10.0 if epochs is None else epochs) * data.loader.steps_per_epoch))
    return with_encoders(asked, spec).replace(
        task_settings=dict(spec.settings),
        optimizer=optimizer,
        lr=pace.lr,
        weight_decay=pace.weight_decay,
        final_weight_decay=pace.final_weight_decay,
        momentum=pace.momentum,
        warmup=recipe.warmup if asked.optim.warmup is None else asked.optim.warmup,
        clip=recipe.clip if asked.optim.clip is None else asked.optim.clip,
        precision=precision_of(asked.machine.precision, data.loader.device),
        steps=steps,
        clip_seen=clip_seen(spec),
        value_range=data.value_range,
        stream="always" if data.is_streamed else "never",
        epochs=None,
        resume=False,
        overwrite=False,
    )


def pace_of(recipe: Recipe, optimizer: Optimizer, asked: OptimSettings, *, task: str) -> Pace:
    """Peak learning rate at the run's batch size, weight decay and momentum: those asked for, else the recipe's.

    Each by itself: `--weight-decay` leaves the recipe's final weight decay as it is. AdamW has no momentum.
    """
    known = recipe.pace(optimizer)
    if known is None and asked.lr is None:
        raise ValueError(
            f"task {task!r} has no learning rate for --optimizer {optimizer}, only for {recipe.optimizer}; "
            f"give --lr, or leave --optimizer out"
        )
    if optimizer == "adamw" and asked.momentum is not None:
        raise ValueError(
            f"--momentum is for sgd and lars, the optimizer is adamw, got {asked.momentum}; leave it out, or "
            "give --optimizer sgd"
        )
    lr = known.lr * asked.batch / 256 if asked.lr is None and known is not None else asked.lr
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


def is_partly_used(task: PretextTask) -> bool:
    """Whether a step may leave parameters of the task without a gradient.

    In one player's turn the parameters of the others have none, nor has the pooling of some timm models in tasks that
    read the map before it.
    """
    names = [encoder.name for encoder in task.modules() if isinstance(encoder, Encoder)]
    return bool(task.players()) or any(TIMM in architecture for architecture in names)


def build_task(spec: TaskSpec, config: RunConfig, starts: Starts | None = None) -> PretextTask:
    """The task with fresh encoders, weights from the run's seed; encoders, size and seed are those of `config`.

    Encoders that start from given weights have these before the task is made, which may copy them.
    """
    torch.manual_seed(seed_from(config.seed, "weights"))
    encoders = build_encoders(config, spec)
    if starts is not None:
        starts.into(encoders)
    task = task_with(encoders, spec, config.network.size)
    trim_kernels(task)
    return task

"""What happens before the first step: devices, data, the task, and every setting that was left to us."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric

from selftaught.core.config import Optimizer, RunConfig
from selftaught.core.files import digest
from selftaught.core.precision import precision_of
from selftaught.core.progress import say_once
from selftaught.core.randomness import seed_from
from selftaught.data.batch import Sampling
from selftaught.data.files.left_out import LeftOut
from selftaught.data.loader import Loader
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.value_range import range_note, with_range
from selftaught.data.store.open import pack
from selftaught.data.store.parts import LEAST_HELD_OUT, LEAST_SHARE, Halves, open_halves, open_some
from selftaught.data.store.samples import Samples, notes_of
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import PREFIXES, TIMM
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.tasks.base import Pace, PretextTask, Recipe
from selftaught.tasks.catalogue import load_task, settings_for, task_info


@dataclass(frozen=True, kw_only=True)
class Data:
    """The two halves of the data as a run reads them."""

    samples: Samples
    held_out: Samples
    loader: Loader
    sampling: Sampling
    num_classes: int
    left_out: LeftOut = field(default_factory=LeftOut)
    """Files that are no samples."""
    notes: tuple[str, ...] = ()
    """How the data were read, where there was a choice or something was left out."""
    value_range: str = "auto"
    """Of the images of more than 8 bits, LOW,HIGH where there are some."""

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(path, reason) of everything that could not be used."""
        return [*self.samples.skipped, *self.held_out.skipped]


def open_sources(config: RunConfig) -> list[Source]:
    """The training part of the data and the one that is held out."""
    needs = frozenset(task_info(config.task).needs)
    return [
        open_source(config.data, split=split, needs=needs, download=config.download, seed=0, held_out=config.held_out)
        for split in ("train", "held_out")
    ]


def open_data(config: RunConfig, fabric: Fabric) -> Data:
    """Open or pack both halves of the data; the first process packs, the others wait."""
    info = task_info(config.task)
    settings = settings_for(info, config.task_settings)
    task_class = load_task(config.task)
    sampling = task_class.sampling(task_class.Config(**settings))
    sources = open_sources(config)
    is_shown = fabric.is_global_zero
    with fabric.rank_zero_first():
        config = with_range(config, sources[0])
        halves = _pack_both(sources, config, sampling, is_shown=is_shown)
    notes = [note for source in sources for note in source.notes]
    notes += [*halves.notes, *notes_of(halves.train), *notes_of(halves.held_out)]
    if config.value_range != "auto":
        notes.append(range_note(config))
    for note in notes:
        say_once(note, is_shown=is_shown)
    loader = Loader(
        halves.train,
        sampling=sampling,
        batch_size=config.batch_size,
        seed=config.seed,
        device=fabric.device,
        rank=fabric.global_rank,
        world=fabric.world_size,
        labels="label" in info.needs,
        limit=config.limit,
    )
    classes = halves.train.classes
    return Data(
        samples=halves.train,
        held_out=halves.held_out,
        loader=loader,
        sampling=sampling,
        num_classes=len(classes) if classes else 0,
        left_out=sources[0].left_out,
        notes=tuple(dict.fromkeys(notes)),
        value_range=config.value_range,
    )


def content_of(asked: RunConfig, data: Data) -> str:
    """Digest of the samples of both halves, with their labels where the task learns from them."""
    halves = (data.samples, data.held_out)
    known = [half.fingerprint for half in halves]
    if "label" in task_info(asked.task).needs:
        known += [repr((half.classes, None if half.labels is None else half.labels.tolist())) for half in halves]
    return digest(known)


def _pack_both(sources: list[Source], config: RunConfig, sampling: Sampling, *, is_shown: bool) -> Halves:
    """No more than --limit asks for; where nothing of one half can be read, a share of the other takes its place."""

    def opened(source: Source) -> Samples:
        title, count, seed = "packing train", config.limit, config.seed
        if source is not sources[0]:
            title, seed = "packing held-out", 0
            count = None if count is None else max(count, LEAST_HELD_OUT)
        return open_some(
            source, count, lambda part: pack(part, config, sampling, title=title, is_shown=is_shown), seed=seed
        )

    return open_halves(sources[0], sources[1], opened, share=config.held_out or LEAST_SHARE)


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
        precision=precision_of(asked, data.loader.device),
        steps=steps,
        value_range=data.value_range,
        epochs=None,
        resume=False,
        overwrite=False,
    )


def pace_of(recipe: Recipe, optimizer: Optimizer, asked: RunConfig) -> Pace:
    """Peak learning rate at the run's batch size and weight decay: those asked for, else the recipe's."""
    known = recipe.pace(optimizer)
    if known is None and asked.lr is None:
        raise ValueError(
            f"task {asked.task!r} has no learning rate for --optimizer {optimizer}, only for {recipe.optimizer}; "
            f"give --lr, or leave --optimizer out"
        )
    lr = known.lr * asked.batch_size / 256 if asked.lr is None and known is not None else asked.lr
    decay = recipe.weight_decay if known is None else known.weight_decay
    assert lr is not None
    return Pace(lr=lr, weight_decay=decay if asked.weight_decay is None else asked.weight_decay)


def recipe_of(task: str, settings: dict[str, Any]) -> Recipe:
    """The task's recipe under its settings, as given or complete."""
    task_class = load_task(task)
    return task_class.recipe_for(task_class.Config(**settings_for(task_info(task), settings)))


def is_partly_used(config: RunConfig) -> bool:
    """Whether a step may leave parameters of the task without a gradient.

    In one player's turn the parameters of the others have none, nor has the pooling of some timm models in tasks that
    read the map before it.
    """
    task_class = load_task(config.task)
    settings = settings_for(task_info(config.task), config.task_settings)
    return bool(task_class.players_for(task_class.Config(**settings))) or TIMM in config.encoder


def seen_as(task_class: type[PretextTask], encoder: str) -> str:
    """The encoder's name with the prefix that the task asks for, unless it has one."""
    return encoder if encoder.startswith(PREFIXES) else task_class.encoder_input + encoder


def build_task(config: RunConfig) -> PretextTask:
    """The task with a fresh encoder, weights from the run's seed."""
    task_class = load_task(config.task)
    settings = settings_for(task_info(config.task), config.task_settings)
    torch.manual_seed(seed_from(config.seed, "weights"))
    encoder = build_encoder(config.encoder, size=config.size, stem=config.stem)
    if encoder.kind != task_class.encoder_kind:
        raise ValueError(
            f"task {config.task!r} trains an encoder for {task_class.encoder_kind}s, but {config.encoder!r} takes "
            f"{encoder.kind}s; 'selftaught encoders' lists the kinds"
        )
    task = task_class(encoder, task_class.Config(**settings), config.size)
    trim_kernels(task)
    return task

"""Settings of a run as keywords of functions, with their types."""

from __future__ import annotations

from typing import Any, TypedDict

from selftaught.core.objects.kinds import Network
from selftaught.core.settings.groups import Accelerator, Optimizer, Precision, Stem, Strategy, Streaming


class DataHints(TypedDict, total=False):
    """What `DataSettings` says of data that their files do not."""

    frame_rate: float
    split_file: str | None
    split_number: int | None
    groups: str | None
    label_column: str | None


class ClipHints(TypedDict, total=False):
    """How `NetworkSettings` says that clips are cut."""

    frames: int | None
    stride: int | None
    fps: float | None


class EvaluationHints(DataHints, ClipHints, total=False):
    """What `evaluate` takes by name."""


class _Settings(EvaluationHints, total=False):
    """The settings of a run by name, but for the encoder; `RunConfig` says what each does."""

    task_settings: dict[str, Any]
    encoders: dict[str, str]
    weights: str | None
    size: int
    stem: Stem
    epochs: float | None
    steps: int | None
    budget: str | None
    batch_size: int | None
    optimizer: Optimizer
    lr: float | None
    encoder_lr: float | None
    weight_decay: float | None
    final_weight_decay: float | None
    momentum: float | None
    warmup: float | None
    accumulate: int
    clip: float | None
    precision: Precision
    accelerator: Accelerator
    devices: int
    num_nodes: int
    strategy: Strategy
    seed: int
    limit: int | None
    held_out: float
    value_range: str
    max_image_pixels: int
    channels: int
    tile: int | None
    overlap: float
    store_size: int | None
    cache_limit: float
    stream: Streaming
    workers: int | None
    download: bool
    log_every: int
    evaluate_every: float
    checkpoint_every: int | None
    resume: bool
    changed_data: bool
    overwrite: bool
    logger: str | None
    tensorboard: bool


class RunSettings(_Settings, total=False):
    """The settings that `pretrain` and `compare` take by name."""

    encoder: str | Network


class AllSettings(_Settings, total=False):
    """Those, the arguments of `pretrain` itself, and what the task says."""

    encoder: str
    data: str
    out: str
    task: str
    kept: str
    started: dict[str, dict[str, str]]
    clip_seen: dict[str, float]

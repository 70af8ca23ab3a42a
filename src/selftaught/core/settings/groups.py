"""The groups of a run's settings: frozen, plain values. Imports no torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_type_hints

from selftaught.core.names import unknown_name
from selftaught.core.plain import at_home, plain, same_place
from selftaught.core.ranges import Range, Settings
from selftaught.core.settings.values import parse_seconds, read_ranges

Stem = Literal["auto", "standard", "small"]
Optimizer = Literal["auto", "sgd", "adamw", "lars"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Strategy = Literal["auto", "ddp", "fsdp", "hsdp"]
Streaming = Literal["auto", "always", "never"]

LOGGERS = ("csv", "tensorboard", "wandb", "mlflow", "trackio")
HINTS = ("frame_rate", "split_file", "split_number", "groups", "label_column")
"""Fields that say of data what their files do not."""
FLAGS = {"path": "data"}
"""Fields whose flags have another name."""
_KINDS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
    str: (str, "text"),
}


@functools.cache
def _kinds(group: Any) -> dict[str, tuple[tuple[Any, ...], Any, str]]:
    """Of each field: the types that it may have, what a value must be an instance of, and that in words."""
    found = {}
    for name, hint in get_type_hints(group).items():
        allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found[name] = (allowed, *next((_KINDS[h] for h in allowed if h in _KINDS), (object, "")))
    return found


class Group(Settings):
    """Base of the groups: numbers of numpy become Python's and paths become text, so that JSON can hold them.

    The upper limits of ranges are far above what any machine can do; they catch typing errors.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, (allowed, of, what) in _kinds(kind).items():
            value = plain(getattr(self, name))
            if isinstance(value, str) and name == "out":
                value = at_home(value)
            is_wrong = not isinstance(value, of) or (isinstance(value, bool) and bool not in allowed)
            if what and is_wrong and not (value is None and type(None) in allowed):
                raise ValueError(f"--{FLAGS.get(name, name).replace('_', '-')} must be {what}, got {value!r}")
            object.__setattr__(self, name, value)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Group):
    """What learns."""

    encoder: str = "auto"
    """A name from `selftaught encoders`, or timm:MODEL; auto uses the one that the task declares, mostly resnet18."""
    encoders: dict[str, str] = field(default_factory=dict)
    """Architectures of the further encoders that a task trains, by name (--audio-encoder ARCHITECTURE)."""
    weights: str | None = None
    """Weights that the kept encoder starts from: FILE or FILE#PART of any program, a run folder, or timm, torchvision
    or hf:OWNER/NAME for published ones (default: random)."""
    started: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each encoder that starts from weights: weights as asked for, and file, sha256 and what was read of it, as
    recorded by a run."""
    kept: str = "encoder"
    """Name of the encoder that is the result, as declared by the task."""
    size: Annotated[int, Range(least=8, most=8192)] = 96
    """Side of the square images that the encoder sees, in pixels."""
    stem: Stem = "auto"
    """First layers of all encoders: standard as published, small with stride 1 for small images; auto uses small below
    48 pixels if time allows."""
    frames: Annotated[int | None, Range(least=1, most=4096)] = None
    """Frames of a clip (default: the task's)."""
    stride: Annotated[int | None, Range(least=1, most=4096)] = None
    """Take every N-th frame of a video for a clip (default: the task's, mostly 1)."""
    fps: Annotated[float | None, Range(above=0, most=100_000)] = None
    """Frames per second of a clip, by the times of the video's frames, instead of --stride."""
    clip_seen: dict[str, float] = field(default_factory=dict)
    """How clips are cut where the kept encoder is evaluated: frames, and stride or fps, as recorded by a run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.encoders, dict) or not all(isinstance(x, str) for x in self.encoders.values()):
            raise ValueError(f"encoders must be a dict of names and architectures, got {self.encoders!r}")
        if not isinstance(self.started, dict) or not all(isinstance(x, dict) for x in self.started.values()):
            raise ValueError(f"started must be a dict of encoders and their weights, got {self.started!r}")
        if self.stride is not None and self.fps is not None:
            raise ValueError(f"--stride {self.stride} and --fps {self.fps:g} both space the frames of a clip; give one")
        if not isinstance(self.clip_seen, dict) or self.clip_seen.keys() - {"frames", "stride", "fps"}:
            raise ValueError(f"clip_seen must be a dict of frames, stride and fps, got {self.clip_seen!r}")

    @property
    def architectures(self) -> dict[str, str]:
        """Every encoder by its name; a kept one that is none of the task's, a teacher, is a copy of "encoder"."""
        return {"encoder": self.encoder, self.kept: self.encoder} | self.encoders


@dataclass(frozen=True, kw_only=True)
class DataSettings(Group):
    """What is read, and how."""

    path: str
    """Folder, zip, Parquet, WebDataset tars, torchvision data set name, hf:OWNER/NAME, folder of videos, moving:digits,
    or demo."""
    limit: Annotated[int | None, Range(least=4)] = None
    """Use at most this many training samples, chosen by seed."""
    held_out: Annotated[float, Range(least=0, below=1)] = 0.1
    """Fraction of the data held out to evaluate the pretext task, if the data have no val or test split."""
    value_range: str = "auto"
    """Values LOW,HIGH that become black and white in images of more than 8 bits, such as 0,4095; auto chooses them once
    from a sample of the training images."""
    max_image_pixels: Annotated[int, Range(least=1)] = 64_000_000
    """Skip and list larger images; an image may take 16 bytes of memory per pixel."""
    channels: Annotated[int, Range(least=1, most=512)] = 3
    """Channels of the images, such as 5 of a microscope or 4 of a satellite; other numbers than 3 are read from folders
    and zips of images and from NumPy, TIFF and DICOM files, and build the encoder's first layer for them."""
    tile: Annotated[int | None, Range(least=8, most=8192)] = None
    """Cut images that are larger into square tiles of this side, in pixels (default: leave them whole)."""
    overlap: Annotated[float, Range(least=0, below=1)] = 0.0
    """Fraction of a tile's side that it has in common with the next one."""
    store_size: Annotated[int | None, Range(least=8, most=16384)] = None
    """Short side of the images in the packed store, in pixels (default: derived from --size)."""
    cache_limit: Annotated[float, Range(above=0)] = 50.0
    """Largest total size of the packed stores in GB: the least recently used ones are removed to make room, and data
    that exceed the limit by themselves are decoded during training."""
    frame_rate: Annotated[float, Range(above=0, most=1000)] = 25.0
    """Frames per second of videos that are folders of numbered images."""
    split_file: str | None = None
    """Folder of the official lists of UCF101 or HMDB51, or table of Kinetics, Something-Something or Moments in Time
    (default: those in or beside the data)."""
    split_number: Annotated[int | None, Range(least=0, most=99)] = None
    """Which of the official splits to use (default 1); 0 evaluates on each of them and averages."""
    groups: str | None = None
    """Samples that a split must not separate, such as the clips of a person: a column of labels.csv, or a CSV file with
    columns file and group (default: a column named group, or the groups of UCF101)."""
    label_column: str | None = None
    """Column of labels.csv that holds the class, such as breed (default: label)."""
    stream: Streaming = "auto"
    """Read tar shards in order during training instead of packing them; auto does so for shards that are remote,
    compressed or larger than --cache-limit when packed, if the task needs only single images."""
    workers: Annotated[int | None, Range(least=1, most=1024)] = None
    """Decoding threads (default: all cores to pack or stream; one for data decoded during training)."""
    download: bool = False
    """Allow torchvision and Hugging Face data sets, and published weights, to be downloaded."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_range != "auto":
            read_ranges(self.value_range, self.channels)
        if self.overlap and self.tile is None:
            raise ValueError(f"--overlap {self.overlap:g} is that of tiles; give --tile as well, or leave it out")

    def of(self, path: str, *, download: bool, **hints: Any) -> DataSettings:
        """The same settings for these data, without what was said of others alone; hints that are None say nothing."""
        usual = DataSettings(path=path)
        said: dict[str, Any] = {name: getattr(self if same_place(path, self.path) else usual, name) for name in HINTS}
        said |= {name: value for name, value in hints.items() if value is not None}
        return replace(self, path=path, download=download, **said)


@dataclass(frozen=True, kw_only=True)
class LengthSettings(Group):
    """How long a run is; one of them at most."""

    epochs: Annotated[float | None, Range(above=0, most=1_000_000_000)] = None
    """Passes over the data (default 10 without --steps and --budget)."""
    steps: Annotated[int | None, Range(least=1, most=1_000_000_000)] = None
    """Number of optimiser steps, instead of --epochs."""
    budget: str | None = None
    """Wall-clock time for the whole command, such as 90s, 10m or 1.5h, instead of --epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("epochs", "steps", "budget") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"--{given[0]} and --{given[1]} both set the length of the run; give one of them")
        if self.budget is not None:
            parse_seconds(self.budget)


@dataclass(frozen=True, kw_only=True)
class OptimSettings(Group):
    """How it learns."""

    batch_size: Annotated[int | None, Range(least=2, most=1_000_000)] = None
    """Samples per optimiser step, in total over all devices and accumulated parts (default: the task's, mostly 128
    images or 32 clips)."""
    optimizer: Optimizer = "auto"
    """Optimiser; auto uses the one of the task's paper."""
    lr: Annotated[float | None, Range(above=0)] = None
    """Peak learning rate at the given batch size (default: the task's, times batch size / 256)."""
    encoder_lr: Annotated[float | None, Range(least=0)] = None
    """Peak learning rate of encoders that start from weights; 0 freezes them (default: --lr)."""
    weight_decay: Annotated[float | None, Range(least=0)] = None
    """Weight decay, never applied to biases and normalisation layers (default: the task's)."""
    final_weight_decay: Annotated[float | None, Range(least=0)] = None
    """Weight decay at the end of a cosine schedule (default: the task's, else constant)."""
    momentum: Annotated[float | None, Range(least=0, below=1)] = None
    """Momentum of sgd and lars (default: the task's, else 0.9)."""
    warmup: Annotated[float | None, Range(least=0, below=1)] = None
    """Fraction of the steps with linear warm-up, before the cosine decay (default: the task's, else 0.05)."""
    accumulate: Annotated[int, Range(least=1, most=1_000_000)] = 1
    """Number of parts each batch is split into to save memory; contrastive tasks see only negatives within a part."""
    clip: Annotated[float | None, Range(above=0)] = None
    """Clip the gradient to this norm (default: the task's, else no clipping)."""

    @property
    def batch(self) -> int:
        """The batch size, which is known once a run has begun."""
        assert self.batch_size is not None, "the task's batch size must be filled in first"
        return self.batch_size


@dataclass(frozen=True, kw_only=True)
class MachineSettings(Group):
    """What computes."""

    precision: Precision = "auto"
    """Numerical precision; auto is bf16-mixed if the hardware supports bf16."""
    accelerator: Accelerator = "auto"
    """Device type to compute on."""
    devices: Annotated[int, Range(least=1, most=1024)] = 1
    """Number of devices (or CPU processes) per node."""
    num_nodes: Annotated[int, Range(least=1, most=100_000)] = 1
    """Number of nodes."""
    strategy: Strategy = "auto"
    """How devices share the work: ddp (same as auto) replicates the model; fsdp splits parameters, gradients and
    optimizer state over all devices, hsdp over the devices of each node."""

    @property
    def world(self) -> int:
        """Devices of all nodes, each with a process of its own."""
        return self.devices * self.num_nodes

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds only a part of the parameters."""
        return self.strategy in ("fsdp", "hsdp")


@dataclass(frozen=True, kw_only=True)
class FolderSettings(Group):
    """Where and when a run writes."""

    out: str
    """Run folder to write."""
    log_every: Annotated[int, Range(least=1)] = 10
    """Steps between rows of metrics.csv."""
    evaluate_every: Annotated[float, Range(above=0)] = 1.0
    """Epochs between held-out evaluations."""
    checkpoint_every: Annotated[int | None, Range(least=1)] = None
    """Steps between checkpoints (default: at every held-out evaluation)."""
    resume: bool = False
    """Continue from the last checkpoint in the run folder; with more --epochs or --steps than before a finished run
    goes on, too, by the learning rates of the new length."""
    changed_data: bool = False
    """With --resume: continue even if the data have changed."""
    overwrite: bool = False
    """Replace an existing run in the run folder."""
    logger: str | None = None
    """Also log to these programs, separated by commas: tensorboard, wandb, mlflow or trackio (pip install
    'selftaught[NAME]'); csv, which is always written, is metrics.csv and heldout.csv."""
    tensorboard: bool = False
    """As --logger tensorboard."""

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self._loggers if name not in LOGGERS]
        if unknown:
            raise ValueError(unknown_name("--logger", unknown[0], LOGGERS))

    @property
    def _loggers(self) -> list[str]:
        return [name.strip() for name in (self.logger or "").split(",") if name.strip()]

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of the programs that metrics are also sent to, each once."""
        named = [*self._loggers, *(["tensorboard"] if self.tensorboard else [])]
        return tuple(dict.fromkeys(name for name in named if name != "csv"))

"""The groups of a run's settings: frozen, plain values. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_type_hints

from selftaught.core.plain import at_home, plain
from selftaught.core.ranges import Range, Settings
from selftaught.core.settings.values import parse_seconds, read_range

Stem = Literal["auto", "standard", "small"]
Optimizer = Literal["auto", "sgd", "adamw", "lars"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Strategy = Literal["auto", "ddp", "fsdp", "hsdp"]
Streaming = Literal["auto", "always", "never"]

FLAGS = {"path": "data"}
"""Fields whose flags have another name."""
_KINDS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
    str: (str, "text"),
}


class Group(Settings):
    """Base of the groups: numbers of numpy become Python's and paths become text, so that JSON can hold them.

    The upper limits of ranges are far above what any machine can do; they catch typing errors.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, hint in get_type_hints(kind).items():
            value = plain(getattr(self, name))
            if isinstance(value, str) and name == "out":
                value = at_home(value)
            allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
            of, what = next((_KINDS[h] for h in allowed if h in _KINDS), (object, ""))
            is_wrong = not isinstance(value, of) or (isinstance(value, bool) and bool not in allowed)
            if what and is_wrong and not (value is None and type(None) in allowed):
                raise ValueError(f"--{FLAGS.get(name, name).replace('_', '-')} must be {what}, got {value!r}")
            object.__setattr__(self, name, value)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Group):
    """What learns."""

    encoder: str = "auto"
    """A name from `selftaught encoders`, or timm:MODEL; auto takes what the task says, mostly resnet18."""
    encoders: dict[str, str] = field(default_factory=dict)
    """Architectures of the further encoders that a task trains, by name (--audio-encoder ARCHITECTURE)."""
    kept: str = "encoder"
    """Name of the encoder that is the result, as the task says it."""
    size: Annotated[int, Range(least=8, most=8192)] = 96
    """Side of the square images the encoder sees, pixels."""
    stem: Stem = "auto"
    """First layers of all encoders: published, or stride 1 for small images (auto: below 48 pixels if time allows)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.encoders, dict) or not all(isinstance(x, str) for x in self.encoders.values()):
            raise ValueError(f"encoders must be a dict of names and architectures, got {self.encoders!r}")

    @property
    def architectures(self) -> dict[str, str]:
        """Every encoder by its name; a kept one that is none of the task's, a teacher, is a copy of "encoder"."""
        return {"encoder": self.encoder, self.kept: self.encoder} | self.encoders


@dataclass(frozen=True, kw_only=True)
class DataSettings(Group):
    """What is read, and how."""

    path: str
    """Folder, zip, Parquet, WebDataset tars, torchvision data set name, hf:OWNER/NAME, folder of videos, or demo."""
    limit: Annotated[int | None, Range(least=4)] = None
    """Use at most this many training samples, chosen by seed."""
    held_out: Annotated[float, Range(least=0, below=1)] = 0.1
    """Share of the data held out to evaluate the pretext task, if they have no val or test split."""
    value_range: str = "auto"
    """LOW,HIGH such as 0,4095: values shown as black and white in images of more than 8 bits; auto is chosen once from
    a sample of the training images."""
    max_image_pixels: Annotated[int, Range(least=1)] = 64_000_000
    """Larger images are skipped and listed, as each may take 16 bytes of memory a pixel."""
    store_size: Annotated[int | None, Range(least=8, most=16384)] = None
    """Short side of the images in the packed store, pixels (default from --size)."""
    cache_limit: Annotated[float, Range(above=0)] = 50.0
    """GB that all packed stores may take together: those unused for longest are removed for a new one, and data that
    need more by themselves are decoded while training."""
    stream: Streaming = "auto"
    """Read tar shards in order while training, never packed; auto does for remote or compressed shards and those whose
    packed store would exceed --cache-limit, where the task needs no more than images one by one."""
    workers: Annotated[int | None, Range(least=1, most=1024)] = None
    """Decoding threads (default: all cores to pack or stream, one while training on what exceeds --cache-limit)."""
    download: bool = False
    """Allow torchvision and Hugging Face data sets to be downloaded."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_range != "auto":
            read_range(self.value_range)


@dataclass(frozen=True, kw_only=True)
class LengthSettings(Group):
    """How long a run is; one of them at most."""

    epochs: Annotated[float | None, Range(above=0, most=1_000_000_000)] = None
    """Passes over the data (default 10 where neither --steps nor --budget is given)."""
    steps: Annotated[int | None, Range(least=1, most=1_000_000_000)] = None
    """Optimiser steps, instead of --epochs."""
    budget: str | None = None
    """Wall time of the whole command such as 90s, 10m or 1.5h, instead of --epochs; steps are set by measured speed."""

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

    batch_size: Annotated[int, Range(least=2, most=1_000_000)] = 128
    """Samples in one optimiser step, over all devices and accumulated parts."""
    optimizer: Optimizer = "auto"
    """auto takes what the task's paper uses."""
    lr: Annotated[float | None, Range(above=0)] = None
    """Peak learning rate at this batch size (default: the task's, scaled by batch / 256)."""
    weight_decay: Annotated[float | None, Range(least=0)] = None
    """Default: the task's. Never applied to biases and normalisation layers."""
    final_weight_decay: Annotated[float | None, Range(least=0)] = None
    """Weight decay at the end, reached by a cosine (default: the task's, else --weight-decay throughout)."""
    momentum: Annotated[float | None, Range(least=0, below=1)] = None
    """Momentum of sgd and lars (default: the task's, else 0.9)."""
    warmup: Annotated[float | None, Range(least=0, below=1)] = None
    """Part of the steps in which the learning rate rises linearly, then falls by a cosine (default: the task's, else
    0.05)."""
    accumulate: Annotated[int, Range(least=1, most=1_000_000)] = 1
    """Parts a batch is computed in; contrastive tasks see negatives of one part only."""
    clip: Annotated[float | None, Range(above=0)] = None
    """Largest norm of the gradient (default: the task's, else none)."""


@dataclass(frozen=True, kw_only=True)
class MachineSettings(Group):
    """What computes."""

    precision: Precision = "auto"
    """auto is bf16-mixed where the machine computes bf16 in hardware."""
    accelerator: Accelerator = "auto"
    """Where to compute."""
    devices: Annotated[int, Range(least=1, most=1024)] = 1
    """Devices (or CPU processes) of one node."""
    num_nodes: Annotated[int, Range(least=1, most=100_000)] = 1
    """Nodes of a multi-node run."""
    strategy: Strategy = "auto"
    """How devices share the work: ddp, which is auto, gives each all parameters; fsdp splits parameters, gradients and
    optimizer state over all devices, hsdp over those of a node."""

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
    """Steps between two rows of metrics.csv."""
    evaluate_every: Annotated[float, Range(above=0)] = 1.0
    """Epochs between two looks at held-out data."""
    checkpoint_every: Annotated[int | None, Range(least=1)] = None
    """Steps between checkpoints (default: every look at held-out data)."""
    resume: bool = False
    """Go on from the last checkpoint in the run folder."""
    changed_data: bool = False
    """With --resume: go on although the data are not those the run began with."""
    overwrite: bool = False
    """Allow an existing run in the run folder to be replaced."""
    tensorboard: bool = False
    """Also write TensorBoard events (pip install 'selftaught[tensorboard]')."""

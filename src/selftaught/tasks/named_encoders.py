"""The encoders of a task by name: which architecture each has, how they are built, and which one is kept."""

from __future__ import annotations

import inspect

from torch import nn

from selftaught.core.config import RunConfig
from selftaught.core.names import unknown_name
from selftaught.core.options import flag_of
from selftaught.encoders.base import Encoder, TokenEncoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import channels_of, prefix_of
from selftaught.encoders.spec import COLOURS, TAKES, EncoderSpec
from selftaught.encoders.staged import check_frames
from selftaught.tasks.base import PretextTask
from selftaught.tasks.spec import TaskSpec


def with_encoders(asked: RunConfig, spec: TaskSpec) -> RunConfig:
    """The settings with the architecture of every encoder of the task, and with the name of the one it keeps.

    Raises:
        ValueError: for a name that is none of the task's encoders.
    """
    _check_encoder_names(asked, spec)
    kept = asked.network.kept
    if kept not in ("encoder", spec.kept):
        raise ValueError(f"task {spec.name!r} says itself which encoder it keeps, {spec.kept}, got {kept!r}")
    further = {name: spec.seen_as(_architecture(name, spec, asked), name) for name in spec.encoders}
    further = {name: _of_channels(given, spec.encoders[name], asked) for name, given in further.items()}
    encoder = further.pop("encoder")
    return asked.replace(encoder=encoder, encoders=further, kept=spec.kept)


def build_encoders(config: RunConfig, spec: TaskSpec) -> dict[str, Encoder]:
    """Every encoder of the task with fresh weights, drawn from torch's default generator in the order of their names
    in `encoders`.
    """
    _check_encoder_names(config, spec)
    return {name: _built(name, spec, config) for name in spec.encoders}


def task_with(encoders: dict[str, Encoder], spec: TaskSpec, size: int) -> PretextTask:
    """The task that trains these encoders; a sentence where it does not take or keep them as the contract says."""
    further = {key: encoder for key, encoder in encoders.items() if key != "encoder"}
    try:
        inspect.signature(spec.cls).bind(encoders["encoder"], spec.config, size, **further)
    except TypeError as error:
        names = ", ".join(["encoder", "config", "size", *(["*", *further] if further else [])])
        raise ValueError(f"task {spec.name!r}: write __init__(self, {names}), as {error}") from None
    task = spec.build(encoders["encoder"], size, **further)
    for key, encoder in encoders.items():
        if getattr(task, key, None) is not encoder:
            raise ValueError(f"task {spec.name!r} must keep its encoder {key!r} under that name: self.{key} = {key}")
    _check_kept(task, spec)
    return task


def _check_encoder_names(asked: RunConfig, spec: TaskSpec) -> None:
    """Refuse architectures of encoders that the task does not name."""
    spec.check_encoders()
    for name in asked.network.encoders:
        if name == "encoder":
            raise ValueError("the architecture of 'encoder' is set by --encoder, that of the others by `encoders`")
        if name not in spec.encoders:
            raise ValueError(unknown_name(f"encoder of task {spec.name!r}", name, list(spec.encoders)))


def _architecture(name: str, spec: TaskSpec, config: RunConfig) -> str:
    """The one that is asked for, else what the task says."""
    network = config.network
    given = network.encoder if name == "encoder" else network.encoders.get(name, "auto")
    return spec.encoders[name].architecture if given == "auto" else given


def _of_channels(architecture: str, spec: EncoderSpec, config: RunConfig) -> str:
    """An architecture for images of the channels that the data have, such as 5ch:resnet18."""
    channels = config.data.channels
    if channels == COLOURS or not spec.takes_data or spec.kind != "image" or channels_of(architecture) == channels:
        return architecture
    if prefix := prefix_of(architecture):
        raise ValueError(
            f"--encoder {architecture} sees colours, got --channels {channels}; leave {prefix} out, or --channels"
        )
    return f"{channels}ch:{architecture}"


def _other_way(task: TaskSpec, spec: EncoderSpec, encoder: Encoder) -> str:
    """How a task of frames trains an encoder of clips, and how an encoder of images takes them."""
    if (encoder.kind, spec.kind) == ("video", "image") and getattr(task.config, "clip", None) == 1:
        return "with --task.clip 8 it trains one for clips; "
    if (encoder.kind, spec.kind) == ("image", "video"):
        return f"mean:{encoder.name} takes clips; "
    return ""


def _built(name: str, task: TaskSpec, config: RunConfig) -> Encoder:
    spec, network = task.encoders[name], config.network
    chosen = _of_channels(_architecture(name, task, config), spec, config)
    channels = config.data.channels if spec.takes_data and spec.kind == "image" else spec.channels
    flag = flag_of(name)
    try:
        encoder = build_encoder(chosen, size=network.size, stem=network.stem)
    except ValueError as error:
        raise ValueError(str(error).replace("--encoder ", f"{flag} ")) from None
    trains = "an encoder" if name == "encoder" else name
    if encoder.kind != spec.kind:
        raise ValueError(
            f"task {task.name!r} trains {trains} for {TAKES[spec.kind]}, but {chosen!r} takes "
            f"{TAKES[encoder.kind]}; {_other_way(task, spec, encoder)}'selftaught encoders' lists the kinds, {flag} "
            "chooses one"
        )
    if name == task.kept and task.clip is not None and encoder.kind == "video":
        check_frames(encoder.name, getattr(encoder, "least_frames", 1), task.clip.frames)
    if encoder.kind != "audio" and encoder.channels != channels:
        raise ValueError(
            f"task {task.name!r} trains {trains} for {TAKES[spec.kind]} of {channels} channels, but {chosen!r} "
            f"takes {encoder.channels}; give {flag} without a prefix"
        )
    if spec.tokens and not isinstance(encoder, TokenEncoder):
        of_timm = "of timm, such as timm:vit_tiny_patch16_224 or timm:deit_small_patch16_224"
        suitable = "of clips, videovit_tiny or videovit_small" if spec.kind == "video" else of_timm
        raise ValueError(
            f"task {task.name!r} leaves patches of {TAKES[spec.kind]} out, which {chosen!r} cannot do; give {flag} a "
            f"plain vision transformer {suitable}"
        )
    return encoder


def _check_kept(task: PretextTask, spec: TaskSpec) -> None:
    """Refuse a kept module that is neither one of the encoders nor a copy of "encoder"."""
    modules: dict[str, nn.Module] = dict(task.named_modules())
    kept = modules.get(spec.kept)
    if not isinstance(kept, Encoder):
        known = [path for path, module in modules.items() if isinstance(module, Encoder)]
        raise ValueError(unknown_name(f"kept encoder of task {spec.name!r}", spec.kept, known))
    if spec.kept not in spec.encoders and kept.name != task.encoder.name:
        raise ValueError(f"task {spec.name!r} keeps {spec.kept!r}, which is no copy of its encoder {task.encoder.name}")

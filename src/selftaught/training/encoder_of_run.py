"""The encoders of a run, of which it keeps one, and the same with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from selftaught.core.config import RunConfig
from selftaught.core.files import read_object
from selftaught.core.names import unknown_name
from selftaught.core.randomness import seed_from
from selftaught.core.settings.groups import NetworkSettings
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import clip_name
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import list_tasks
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.refresh import fit_buffers
from selftaught.training.setup import build_task, spec_for


def read_config(run: str | Path) -> RunConfig:
    """The resolved settings of a run."""
    path = Path(run) / "config.json"
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder: it has no config.json; give the --out of a pretrain command")
    config = RunConfig.load(path)
    return config if "encoders" in read_object(path) else _of_older_version(config)


def load_encoder(run: str | Path, *, part: str | None = None, checkpoint: str = "last") -> Encoder:
    """The pretrained encoder of a run, on the CPU in evaluation mode.

    Args:
        run: run folder.
        part: one of `parts_of`; None is the encoder that the task keeps, and "image" alone is a part of that.
        checkpoint: "last", or "best" by the held-out pretext metric.
    """
    config = read_config(run)
    part = part_of(config, part, run=run)
    if checkpoint not in ("last", "best"):
        raise ValueError(f"checkpoint must be last or best, got {checkpoint!r}")
    path = Path(run) / "checkpoints" / f"{checkpoint}.safetensors"
    if not path.is_file():
        raise ValueError(
            f"{run} has no checkpoint '{checkpoint}' yet; finish it with 'selftaught pretrain ... --resume'"
        )
    tensors, _ = load_checkpoint(path)
    prefix = f"task.{part}."
    state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    encoder = random_encoder(config.network, config.seed, part=part)
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} does not hold the encoder that config.json names {part!r}: {reason}") from None
    return encoder.eval()


def load_measurable(run: str | Path, *, part: str | None = None, checkpoint: str = "last") -> Encoder:
    """As `load_encoder`, of one that takes what data give: images or clips in colour, or audio; see `of_colours`."""
    whole = load_encoder(run, part=part, checkpoint=checkpoint)
    config = read_config(run)
    encoder = of_colours(whole, part_of(config, part, run=run), stride=config.task_settings.get("stride", 1))
    given = config.data.channels if encoder.kind == "image" else COLOURS
    if encoder.kind != "audio" and encoder.channels != given:
        kept = read_config(run).network.kept
        raise ValueError(
            f"--part {part} of {run} takes {encoder.channels} channels, but data give {given}; only 'selftaught "
            f"export' takes it, leave --part out to measure {kept!r}"
        )
    return encoder


def load_task(run: str | Path, *, checkpoint: str = "last") -> PretextTask:
    """The whole task of a run, heads and all, on the CPU in evaluation mode.

    Raises:
        ValueError: where the run or the file of the task is not there, or the checkpoint is of other settings.
    """
    config = read_config(run)
    task = build_task(spec_for(config), config)
    path = Path(run) / "checkpoints" / f"{checkpoint}.safetensors"
    tensors, _ = load_checkpoint(path)
    state = {name.removeprefix("task."): value for name, value in tensors.items() if name.startswith("task.")}
    fit_buffers(task, state)
    try:
        task.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} does not hold the task {config.task!r} of config.json: {reason}") from None
    return task.eval()


def of_colours(encoder: Encoder, part: str, *, stride: int = 1) -> Encoder:
    """An encoder of stacks of flow as the one of clips that computes the flow of its frames; any other as it is.

    Args:
        encoder: of a run.
        part: its name; a task calls an encoder of flow "flow_encoder".
        stride: between frames, where the run has seen no clips by its kept encoder.
    """
    if part != "flow_encoder" or encoder.kind != "image" or encoder.channels % 2:
        return encoder
    fields = encoder.channels // 2
    name = f"flow{fields}:{encoder.name.removeprefix(f'{encoder.channels}ch:')}"
    clips = ClipImageEncoder(name, encoder, "flow", fields, COLOURS)
    seen = dict(encoder.clip_seen) or {"stride": stride}
    clips.clip_seen = seen | {"frames": max(fields + 1, int(seen.get("frames", 1)))}
    clips.train(encoder.training)
    return clips


def parts_of(network: NetworkSettings) -> dict[str, str]:
    """Every encoder that a run has: the task's by name, and those inside, such as "encoder.image" of lstm:resnet18.

    Returns:
        Name -> name of the architecture.
    """
    parts = dict(network.architectures)
    for name, architecture in network.architectures.items():
        if clip := clip_name(architecture):
            parts |= {f"{name}.{path}": inside for path, inside in clip.parts.items()}
    return parts


def part_of(config: RunConfig, part: str | None, *, run: str | Path) -> str:
    """The name, in `parts_of`, of one of the run's encoders; that of the kept one for None."""
    kept, known = config.network.kept, parts_of(config.network)
    if part is None:
        return kept
    if part not in known and f"{kept}.{part}" in known:
        return f"{kept}.{part}"
    if part not in known:
        raise ValueError(unknown_name(f"--part of {run}", part, [name.removeprefix(f"{kept}.") for name in known]))
    return part


def random_encoder(network: NetworkSettings, seed: int, *, part: str | None = None) -> Encoder:
    """An encoder with random weights, a function of the seed: what every probe compares with."""
    name = parts_of(network)[network.kept if part is None else part]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(seed, "random encoder"))
        encoder = build_encoder(name, size=network.size, stem=network.stem).eval()
    encoder.clip_seen = network.clip_seen
    return encoder


def _of_older_version(config: RunConfig) -> RunConfig:
    """Settings of a version that did not write the further encoders: theirs were those that the task states."""
    further = next((info.further for info in list_tasks() if info.name == config.task), {})
    return config.replace(encoders={name: spec.architecture for name, spec in further.items()})

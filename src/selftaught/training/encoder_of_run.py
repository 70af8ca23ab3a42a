"""The encoder that a run kept, and the same with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from selftaught.core.config import RunConfig
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import names_weights
from selftaught.training.checkpoint import load_checkpoint

_PARTS = {"audio_encoder": "audio_convnet"}
"""Further encoders a task may train beside the one that --encoder names."""


def read_config(run: str | Path) -> RunConfig:
    """The resolved settings of a run."""
    path = Path(run) / "config.json"
    if not path.is_file() and names_weights(str(run)):
        raise ValueError(
            f"{run}: only a run folder can be given here as yet; weights in a file can be measured with "
            f"'selftaught evaluate {run} DATA'"
        )
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder: it has no config.json; give the --out of a pretrain command")
    try:
        return RunConfig.load(path)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def load_encoder(run: str | Path, *, part: str = "encoder", checkpoint: str = "last") -> Encoder:
    """The pretrained encoder of a run, on the CPU in evaluation mode.

    Args:
        run: run folder.
        part: "encoder", or "audio_encoder" of a task that trains one for sound as well.
        checkpoint: "last", or "best" by the held-out pretext metric.
    """
    config = read_config(run)
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
    if not state:
        parts = sorted({name.split(".")[1] for name in tensors if name.startswith("task.") and "encoder" in name})
        raise ValueError(f"{run} has no part {part!r}; it has {', '.join(parts)}")
    encoder = random_encoder(config, part=part)
    encoder.load_state_dict(state, strict=True)
    return encoder.eval()


def part_name(config: RunConfig, part: str) -> str:
    """The encoder's name of a part of a run."""
    return config.network.encoder if part == "encoder" else _PARTS[part]


def random_encoder(config: RunConfig, *, part: str = "encoder", seed: int | None = None) -> Encoder:
    """The same encoder with random weights: what every probe compares with."""
    from selftaught.core.randomness import seed_from

    name = part_name(config, part)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(config.seed if seed is None else seed, "random encoder"))
        return build_encoder(name, size=config.network.size, stem=config.network.stem).eval()

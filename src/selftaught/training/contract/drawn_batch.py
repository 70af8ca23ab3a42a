"""A batch of noise with every input that a task names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from selftaught.data.batch import Batch
from selftaught.data.computed.base import Program
from selftaught.data.computed.catalogue import make_program
from selftaught.data.inputs import Clip, Computed, Given, Image, Input, Sound, liked, needs_of
from selftaught.ops.sound.spectrogram import SAMPLE_RATE

SAMPLES, CLASSES = 2, 2
"""Of the batch, and of what is given as a label or mask."""


def drawn_batch(named: Mapping[str, Input], size: int, rng: Generator) -> Batch:
    """Two samples of noise, as the task wants them cut."""
    side = size + size // 4
    inputs: dict[str, Tensor] = {}
    for name, one in named.items():
        if isinstance(one, Image | Clip):
            frames = (one.frames,) if isinstance(one, Clip) else ()
            inputs[name] = torch.randint(256, (SAMPLES, *frames, 3, side, side), generator=rng, dtype=torch.uint8)
        elif isinstance(one, Sound):
            inputs[name] = torch.rand(SAMPLES, round(one.seconds * SAMPLE_RATE), generator=rng) * 2 - 1
        elif isinstance(one, Given) and one.what == "label":
            inputs[name] = torch.arange(SAMPLES) % CLASSES
    for name, one in named.items():
        if isinstance(one, Given) and one.what != "label":
            inputs[name] = _drawn_given(one.what, tuple(inputs[liked(named, name)].shape[:-3]), side, rng)
        elif isinstance(one, Computed):
            program = make_program(one)
            inputs[name] = _drawn_maps(program, (*inputs[one.like].shape[:-3], program.channels, side, side), rng)
    time = torch.arange(SAMPLES) * 10.0 if "video" in needs_of(named) else None
    return Batch(index=torch.arange(SAMPLES), inputs=inputs, time=time)


def _drawn_given(what: str, frames: tuple[int, ...], side: int, rng: Generator) -> Tensor:
    """What is given with frames: (*frames, ...) as `data.inputs.Given` says."""
    shape = (*frames, side, side)
    if what == "mask":
        return torch.randint(CLASSES, shape, generator=rng, dtype=torch.uint8)
    if what == "depth":
        return 5 * torch.rand(shape, generator=rng)
    if what == "normals":
        return F.normalize(torch.randn((*frames, 3, side, side), generator=rng), dim=-3)
    if what == "flow":
        return torch.randn((*frames, 2, side, side), generator=rng)
    if what == "pose":
        pose = torch.eye(4).expand(*frames, 4, 4).clone()
        pose[..., :3, 3] = torch.randn((*frames, 3), generator=rng)
        return pose
    if what == "intrinsics":
        middle = side / 2
        return torch.tensor([[side, 0, middle], [0, side, middle], [0, 0, 1]]).float().expand(*frames, 3, 3).clone()
    regions = _regions(shape, rng)
    return regions.to(torch.int16) if what == "instances" else regions


def _drawn_maps(program: Program, shape: tuple[int, ...], rng: Generator) -> Tensor:
    """Maps (..., C, side, side) of noise."""
    return _regions(shape, rng) if program.kind == "mask" else torch.rand(shape, generator=rng)


def _regions(shape: tuple[int, ...], rng: Generator) -> Tensor:
    """Masks (..., side, side) uint8 of regions a quarter as wide, of which 1 has a third."""
    side = shape[-1]
    regions = torch.rand((*shape[:-2], 4, 4), generator=rng) < 1 / 3
    wide = -(-side // 4)
    return regions.repeat_interleave(wide, -2).repeat_interleave(wide, -1)[..., :side, :side].to(torch.uint8)

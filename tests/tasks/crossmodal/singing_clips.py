"""Clips of one colour whose sound has the pitch that goes with the colour, two moments of each video, as a batch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from selftaught.data.batch import Batch

COLOURS = ((230, 20, 20), (20, 230, 20), (20, 20, 230), (200, 200, 20))
HERTZ = (200.0, 600.0, 1800.0, 5000.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def singing(seed: int, *, videos: int = 8, frames: int = 2, side: int = 20, seconds: float = 0.5) -> Batch:
    """Rows 2 i and 2 i + 1 are of one video, 2 s apart, in two colours."""
    draw = np.random.default_rng(seed)
    chosen = torch.from_numpy(np.concatenate([draw.permutation(4)[:2] for _ in range(videos)]))
    colour = torch.tensor(COLOURS)[chosen][:, None, :, None, None]
    noise = torch.from_numpy(draw.integers(-15, 16, (2 * videos, frames, 3, side, side)))
    t = torch.arange(round(seconds * 16000)) / 16000
    phase = torch.from_numpy(draw.random(2 * videos)).float() * 2 * math.pi
    sound = 0.3 * torch.sin(2 * math.pi * torch.tensor(HERTZ)[chosen][:, None] * t + phase[:, None])
    return batch_of((colour + noise).clamp(0, 255).byte(), sound)


def batch_of(clips: Tensor, sound: Tensor) -> Batch:
    """The inputs "video" and "audio" of two moments of each video."""
    n = len(clips)
    time = torch.tensor([1.0, 3.0]).repeat(n // 2)
    return Batch(index=torch.arange(n) // 2, inputs={"video": clips, "audio": sound}, time=time)


def of_one_level(seed: int, *, videos: int = 8, frames: int = 2, side: int = 20, seconds: float = 0.5) -> Batch:
    """Noise for eye and ear, of which the clip is as bright as its sound is loud: all that they share is a level."""
    draw = rng(seed)
    n = 2 * videos
    level = 0.1 + 0.9 * torch.rand(n, generator=draw)
    clips = (torch.rand(n, frames, 3, side, side, generator=draw) * 200 * level[:, None, None, None, None]).byte()
    sound = 0.1 * torch.randn(n, round(seconds * 16000), generator=draw) * level[:, None]
    return batch_of(clips, sound)

"""From samples to features, with the preprocessing the encoder was trained with: every probe reads through here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from selftaught.core.precision import autocast
from selftaught.data.batch import Batch, Sampling
from selftaught.data.loader import to_device
from selftaught.data.modality import MODALITIES, clip_of
from selftaught.data.store.samples import Samples
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import encoder_view

CLIPS = 10
"""Clips of a video whose features are averaged, as the field does for action recognition."""


def probe_sampling(encoder: Encoder) -> Sampling:
    """How samples are cut for an encoder that is not being trained."""
    return MODALITIES[encoder.kind].sampling(clip_of(encoder.clip_seen))


def samples_at_once(encoder: Encoder, batch_size: int) -> int:
    """How many samples take the memory that `batch_size` images do."""
    return max(1, batch_size // (clip_of(encoder.clip_seen).frames if encoder.kind == "video" else 1))


@torch.no_grad()
def encode(encoder: Encoder, batch: Batch, size: int, precision: str = "auto") -> Tensor:
    """Pooled features (N, D) float32; those of a clip's frames are averaged."""
    x = encoder_view(encoder, batch.inputs, size)
    with autocast(x.device, precision):
        rows = encoder(x).float()
    features: Tensor = rows.unflatten(0, (len(batch), -1)).mean(1)
    return features


def sample_batches(
    samples: Samples, *, batch_size: int, device: torch.device, clips: int = CLIPS
) -> Iterator[list[Batch]]:
    """All samples in order; for videos, each item holds one batch for every clip of the same videos."""
    count = len(samples)
    views = samples.eval_draws(count, clips)
    for start in range(0, count, batch_size):
        rows = np.arange(start, min(start + batch_size, count))
        yield [to_device(samples.read(rows, draws[rows]), samples, device, {}) for draws in views]


def all_features(
    encoder: Encoder,
    samples: Samples,
    *,
    size: int,
    device: torch.device,
    precision: str = "auto",
    batch_size: int = 256,
    clips: int = CLIPS,
) -> Tensor:
    """Pooled features (M, D) float32 on the CPU, of all samples in order; clips of a video are averaged."""
    encoder = encoder.to(device).eval()
    parts = []
    at_once = samples_at_once(encoder, batch_size)
    for views in sample_batches(samples, batch_size=at_once, device=device, clips=clips):
        parts.append(torch.stack([encode(encoder, batch, size, precision) for batch in views]).mean(0).cpu())
    return torch.cat(parts)

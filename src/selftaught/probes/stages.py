"""Stage features as vectors of about 9,000 numbers, the survey's protocol for comparing layers of any width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.batch import Batch
from selftaught.encode import autocast, encoder_input, sample_batches
from selftaught.encoders.base import Encoder
from selftaught.heads import feature_map
from selftaught.store import Samples


@dataclass(frozen=True, kw_only=True)
class Reader:
    """An encoder and how it is read."""

    encoder: Encoder
    size: int
    device: torch.device
    precision: str = "auto"
    batch_size: int = 256
    clips: int = 10


def pool_stage(features: Tensor, dims: int) -> Tensor:
    """Average-pool space (and time) so that at most about `dims` numbers are left, and flatten.

    (N, C, H, W), (N, C, T, H, W) or tokens (N, L, D) -> (N, d); a stage with fewer numbers is kept whole,
    one with more than `dims` channels is pooled to a single position.
    """
    if features.ndim == 3:
        features = feature_map(features)
    channels, spatial = features.shape[1], features.shape[2:]
    # 1.07 lets 9,000 reach the field's 9,600 = 96 x 10 x 10 = 384 x 5 x 5.
    positions = max(1.0, dims * 1.07 / channels)
    if len(spatial) == 2:
        side = max(1, int(math.sqrt(positions)))
        pooled = F.adaptive_avg_pool2d(features, (min(side, spatial[0]), min(side, spatial[1])))
    elif len(spatial) == 3:
        steps = min(2, spatial[0]) if positions >= 2 else 1
        side = max(1, int(math.sqrt(positions / steps)))
        pooled = F.adaptive_avg_pool3d(features, (steps, min(side, spatial[1]), min(side, spatial[2])))
    else:
        raise ValueError(f"a stage must be (N, C, H, W), (N, C, T, H, W) or (N, L, D), got {tuple(features.shape)}")
    return pooled.flatten(1).float()


@torch.no_grad()
def stage_features(reader: Reader, samples: Samples, dims: int) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Batches of ({stage: (N, d) float32}, labels (N,)) over all samples in order.

    Frames of a clip and clips of a video are averaged.
    """
    encoder = reader.encoder.to(reader.device).eval().to(memory_format=torch.channels_last)
    for views in sample_batches(
        samples, batch_size=reader.batch_size, device=reader.device, labels=True, clips=reader.clips
    ):
        totals: dict[str, Tensor] = {}
        for batch in views:
            for name, value in _read(encoder, batch, reader, dims).items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value / len(views)
        assert views[0].label is not None
        yield totals, views[0].label


def _read(encoder: Encoder, batch: Batch, reader: Reader, dims: int) -> dict[str, Tensor]:
    x = encoder_input(encoder, batch, reader.size)
    with autocast(x.device, reader.precision):
        stages = encoder.forward_stages(x)
    pooled = {name: pool_stage(value, dims) for name, value in stages.items()}
    return {name: v.unflatten(0, (len(batch), -1)).mean(1) for name, v in pooled.items()}

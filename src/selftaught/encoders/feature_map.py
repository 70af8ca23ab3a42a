"""Unpooled features as a map; channels and side of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selftaught.encoders.base import Encoder


def feature_map(features: Tensor) -> Tensor:
    """Unpooled features as a map: (N, C, H, W) as it is, tokens (N, L, D) as (N, D, h, h) without class tokens."""
    if features.ndim == 4:
        return features
    side = math.isqrt(features.shape[1])
    patches = features[:, features.shape[1] - side * side :].transpose(1, 2)
    return patches.reshape(*patches.shape[:2], side, side)


@torch.no_grad()
def map_shape(encoder: Encoder, size: int) -> tuple[int, int]:
    """Channels and side of `feature_map(encoder.forward_features(x))` for pictures of side `size`."""
    mode = encoder.training
    device = next(encoder.parameters()).device
    found = feature_map(encoder.eval().forward_features(torch.zeros(1, 3, size, size, device=device)))
    encoder.train(mode)
    return found.shape[1], found.shape[2]

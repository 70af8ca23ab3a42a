"""Every frame of a clip through an encoder of images."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import channels_first, stage_features


def frames_of(clips: Tensor) -> Tensor:
    """(N, C, T, H, W) -> (N T, C, H, W), channels last."""
    return clips.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


def features_of_frames(image: Encoder, clips: Tensor) -> Tensor:
    """Pooled features of every frame (N, T, D)."""
    rows: Tensor = image(frames_of(clips)).unflatten(0, (-1, clips.shape[2]))
    return rows


def stages_of_frames(image: Encoder, clips: Tensor) -> dict[str, Tensor]:
    """Every stage of an encoder of images as a clip (N, C, T, H, W)."""
    found = stage_features(image, frames_of(clips))
    return {stage: _as_clips(features, clips) for stage, features in found.items()}


def last_of_frames(image: Encoder, clips: Tensor) -> Tensor:
    """The last of `stages_of_frames`."""
    height, width = clips.shape[-2:]
    found = channels_first(image, image.stages[-1], image.forward_features(frames_of(clips)), height, width)
    return _as_clips(found, clips)


def _as_clips(features: Tensor, clips: Tensor) -> Tensor:
    """(N T, C, h, w) -> (N, C, T, h, w)."""
    stacked: Tensor = features.unflatten(0, (-1, clips.shape[2])).transpose(1, 2)
    return stacked

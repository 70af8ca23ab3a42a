"""Features of stages with the channels first: on the grid of the image, over time, or both."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.encoders.base import Encoder


def channels_first(encoder: Encoder, stage: str, features: Tensor, height: int, width: int) -> Tensor:
    """Unpooled features of one stage; class and register tokens are left out.

    Maps (N, C, H, W) and clips (N, C, T, H, W) stay, tokens (N, L, D) become maps (N, D, h, w), sequences (N, T, D)
    become (N, D, T).

    Args:
        height, width: of the images that the features are of, pixels.
    """
    kind = encoder.stage_kind(stage)
    if kind == "sequence":
        return features.transpose(1, 2)
    if kind != "tokens":
        return features
    rows, columns = encoder.token_grid(stage, height, width)
    patches = features[:, features.shape[1] - rows * columns :].transpose(1, 2)
    return patches.reshape(*patches.shape[:2], rows, columns)


def stage_features(encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """Every stage, `channels_first`."""
    height, width = x.shape[-2:]
    found = encoder.forward_stages(x)
    return {stage: channels_first(encoder, stage, features, height, width) for stage, features in found.items()}


def stage_maps(encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """The stages that are maps or tokens, as maps (N, C, h, w)."""
    return {stage: features for stage, features in stage_features(encoder, x).items() if is_map(encoder, stage)}


def is_map(encoder: Encoder, stage: str) -> bool:
    """Whether a stage has one vector for each place of an image."""
    return encoder.stage_kind(stage) in ("map", "tokens")


def last_map(encoder: Encoder, x: Tensor) -> Tensor:
    """Unpooled features after the last stage of images (N, 3, H, W) as a map (N, C, h, w).

    Raises:
        ValueError: where they are a clip or a sequence.
    """
    stage = encoder.stages[-1]
    if not is_map(encoder, stage):
        raise ValueError(
            f"encoder '{encoder.name}' ends in a {encoder.stage_kind(stage)}, not in a map of features; choose another "
            "--encoder, such as resnet18 or timm:vit_tiny_patch16_224"
        )
    return channels_first(encoder, stage, encoder.forward_features(x), x.shape[-2], x.shape[-1])


@torch.no_grad()
def map_shape(encoder: Encoder, size: int) -> tuple[int, int]:
    """Channels and side of `last_map(encoder, x)` for images of side `size`."""
    mode = encoder.training
    device = next(encoder.parameters()).device
    found = last_map(encoder.eval(), torch.zeros(1, encoder.channels, size, size, device=device))
    encoder.train(mode)
    return found.shape[1], found.shape[2]


def map_over_time(encoder: Encoder, clips: Tensor) -> Tensor:
    """Unpooled features after the last stage of clips (N, 3, T, H, W), averaged over time: a map (N, C, h, w).

    Of a stage that is a sequence it has one place.
    """
    height, width = clips.shape[-2:]
    features = channels_first(encoder, encoder.stages[-1], encoder.forward_features(clips), height, width)
    if features.ndim == 3:
        return features.mean(2)[:, :, None, None]
    return features.mean(2) if features.ndim == 5 else features


@torch.no_grad()
def map_over_time_shape(encoder: Encoder, frames: int, size: int) -> tuple[int, int, int]:
    """Channels, rows and columns of `map_over_time(encoder, clips)` for clips of so many frames of side `size`."""
    mode = encoder.training
    device = next(encoder.parameters()).device
    found = map_over_time(encoder.eval(), torch.zeros(1, encoder.channels, frames, size, size, device=device))
    encoder.train(mode)
    return found.shape[1], found.shape[2], found.shape[3]

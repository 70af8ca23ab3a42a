"""Frames of a video that an encoder sees one by one, each alone or as the first frame of a short clip.

Papers that pass single frames through a 2-D network have a setting `clip`: with 1, the task trains an encoder of
images; above 1, each frame becomes a clip of that many frames, and the task trains an encoder of video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.frames import gather_frames, shifted_crop, split_channels
from selftaught.ops.sheet import flip_book, lay_strip, numbered


def encoder_of(clip: int) -> Mapping[str, EncoderSpec]:
    """What a task trains that shows its encoder clips of so many frames."""
    return {"encoder": EncoderSpec("video" if clip > 1 else "image")}


def short_clips(video: Tensor, numbers: Tensor, clip: int) -> Tensor:
    """The clips that begin at some frames: video (N, T, C, H, W), numbers (N, K) int64 -> (N, K, clip, C, H, W)."""
    index = numbers[:, :, None] + torch.arange(clip, device=numbers.device)
    return gather_frames(video, index.flatten(1)).reshape(*index.shape, *video.shape[2:])


def shifted_clips(
    clips: Tensor, boxes: Tensor, size: int, rng: Generator, *, jitter: float, areas: Tensor | None = None
) -> Tensor:
    """`ops.frames.shifted_crop` with one shift for all frames of a short clip.

    Clips (N, K, L, C, H, W), boxes (N, 4) -> (N, K, L, C, size, size) float32.
    """
    # Frames as channels share the window.
    cut = shifted_crop(clips.flatten(2, 3), boxes, size, rng, jitter=jitter, areas=areas)
    return cut.view(*clips.shape[:4], size, size)


def one_channel(clips: Tensor, rng: Generator) -> Tensor:
    """`ops.frames.split_channels` with one channel for all frames of a short clip: (N, K, L, 3, H, W) -> the same."""
    length, _, height = clips.shape[2:5]
    # Frames that stand one below the other share the channel.
    tall = clips.transpose(2, 3).flatten(3, 4)
    split: Tensor = split_channels(tall, rng).unflatten(3, (length, height)).transpose(2, 3)
    return split


def for_encoder(clips: Tensor) -> Tensor:
    """Short clips (N, K, L, 3, S, S) in [0, 1] -> normalised rows: clips (N K, 3, L, S, S), or images if L is 1."""
    n, k, length = clips.shape[:3]
    frames = normalise(clips.flatten(0, 2))
    if length == 1:
        return frames
    rows = frames.reshape(n * k, length, *frames.shape[1:]).transpose(1, 2)
    return rows.contiguous(memory_format=torch.channels_last_3d)


def shown(row: Tensor) -> Tensor:
    """One row of `for_encoder` for people: an image (3, S, S) or a clip (L, 3, S, S) in [0, 1]."""
    frames = denormalise(row[None] if row.ndim == 3 else row.transpose(0, 1))
    return frames[0] if row.ndim == 3 else frames


def shown_in_order(rows: Tensor, numbers: Sequence[int]) -> list[Tensor]:
    """Rows of `for_encoder` for people, with their numbers: clips; of images a flip book of them, then side by side."""
    pictures = [shown(row) for row in rows]
    if pictures[0].ndim == 4:
        return [numbered(clip, number) for clip, number in zip(pictures, numbers, strict=True)]
    frames = torch.stack(pictures)
    return [flip_book(frames, numbers), lay_strip(frames, numbers)]

"""Views of clips whose frames are all changed alike."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.clips.windows import inner_areas
from selftaught.ops.colour import normalised_jitter
from selftaught.ops.crop import crop_resize
from selftaught.ops.frames import boxes_within


def consistent_view(
    videos: Tensor, size: int, rng: Generator, *, min_scale: float, jitter: float, grey: float, blur: float
) -> Tensor:
    """The view of `parts.views.distorted_view`, with the same draw for all frames of a clip (Qian et al. 2021, alg. 1).

    The crop, mirror image, blur and colours of a frame are those of its clip, so that they do not look like movement.
    Crops are cut between black bars.

    Args:
        videos: (N, T, 3, H, W) uint8.
        size: side S of the view in pixels.
        min_scale: smallest share of the frame's area that a crop covers, in (0, 1].
        jitter: strength of the colour distortion, at least 0, as of `distorted_view`.
        grey: probability of a grey view.
        blur: probability of a blurred view.

    Returns:
        (N, 3, T, S, S) float32, normalised, `channels_last_3d`.
    """
    n, t = videos.shape[:2]
    boxes = boxes_within(inner_areas(videos, size), rng, scale=(min_scale, 1.0))
    sigma = uniform((n,), 0.1, 2.0, rng) * (size / 224)
    sigma = torch.where(uniform((n,), 0, 1, rng) < blur, sigma, 0.0)
    frames = crop_resize(
        videos.flatten(0, 1), boxes.repeat_interleave(t, 0), size, sigma.repeat_interleave(t) if blur else None
    )
    # Frames one above the other are one tall image, so one change of colours serves them all.
    tall = frames.unflatten(0, (n, t)).transpose(1, 2).flatten(2, 3)
    strength = 0.8 * jitter
    views = normalised_jitter(tall, rng, strength, strength, strength, 0.2 * jitter, grey=grey)
    return views.view(n, 3, t, size, size)

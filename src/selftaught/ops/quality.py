"""Random sharpness and noise: how well a codec kept a frame then does not say where in the stream the frame was.

Frames of H.264 are sharper or noisier by their kind and their distance from a key frame. On clips with no other order,
a small network put four stretches of two frames in order 2.9 times as often as by chance; after this, 1.0 times.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.crop import crop_resize

BLUR = 1.5
"""Largest sigma of the blur, in pixels of the result."""
NOISE = 0.1
"""Largest standard deviation of the noise, of pixels in [0, 1]."""


def degraded_crop(frames: Tensor, boxes: Tensor, size: int, rng: Generator, *, strength: float = 1.0) -> Tensor:
    """One window, blur and strength of noise for all frames of a group.

    Args:
        frames: (M, F, C, H, W) uint8, or float in [0, 1]; F frames in each of M groups.
        boxes: (M, 4) as `ops.crop.crop_resize` takes them.
        size: side S of the result in pixels.
        rng: for the blur and the noise of each group, uniform from 0 to the largest.
        strength: share of `BLUR` and `NOISE`, in [0, 1]; 0 leaves frames as they are.

    Returns:
        (M, F, C, S, S) float32 in [0, 1].
    """
    m, f = frames.shape[:2]
    boxes = boxes.repeat_interleave(f, 0)
    if not strength:
        return crop_resize(frames.flatten(0, 1), boxes, size).view(m, f, -1, size, size)
    sigma = uniform((m,), 0, BLUR * strength, rng).repeat_interleave(f)
    cut = crop_resize(frames.flatten(0, 1), boxes, size, sigma).view(m, f, -1, size, size)
    amount = uniform((m, 1, 1, 1, 1), 0, NOISE * strength, rng)
    return torch.addcmul(cut, amount, torch.randn(cut.shape, generator=rng, device=rng.device)).clamp_(0, 1)

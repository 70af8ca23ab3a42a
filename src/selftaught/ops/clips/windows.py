"""Windows of clips that show neither the border of the frame nor how well a codec kept it.

Frames of H.264 are sharper or noisier by their kind and their distance from a key frame. On clips with no other order,
a small network put four stretches of two frames in order 2.9 times as often as by chance; with a random sharpness and
noise of each stretch, 1.0 times.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.crop import crop_resize
from selftaught.ops.frames import without_bars

BLUR = 1.5
"""Largest sigma of the blur, in pixels of the result."""
NOISE = 0.1
"""Largest standard deviation of the noise, of pixels in [0, 1]."""


def inner_areas(video: Tensor, size: int) -> Tensor:
    """Areas (N, 4), top, left, height and width, of clips (N, T, 3, H, W) uint8 without their border.

    They are what `without_bars` leaves, off by half a pixel of a window of `size` pixels, so that neither the outermost
    pixels nor a filter that is cut off there reach a window within them.
    """
    areas = without_bars(video)
    margin = areas[:, 2:].amin(1, keepdim=True) / (2 * size)
    return torch.cat([areas[:, :2] + margin, areas[:, 2:] - 2 * margin], 1)


def shifted_squares(squares: Tensor, count: int, rng: Generator, *, jitter: float) -> Tensor:
    """Smaller squares anywhere within a larger one: squares (N, 4) -> (N, count, 4), mirrored as it is.

    Each is shifted from the middle by up to `jitter` of its own side, and not by whole pixels, so that neither its
    position nor the block grid of a codec identifies a frame.
    """
    top, left, side, across = squares[:, :, None].unbind(1)
    own = side / (1 + 2 * jitter)
    down, right = uniform((2, len(squares), count), 0, 1, rng) * (side - own)
    sign, own = across.sign(), own.expand(-1, count)
    return torch.stack([top + down, left + sign * right, own, sign * own], 2)


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

"""Clips as from a camera at rest: its movement is measured, and the window of a crop moves along."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.colour import LUMA
from selftaught.ops.crop import crop_resize, mirrored_boxes

REACH = 0.1
"""Largest movement from the middle frame that is followed, as a share of the frame's sides."""
LEAST_PEAK = 0.1
"""Correlation below which two frames show different things, and nothing is followed; 1 is that of equal frames."""
FLAT = 4.0
"""Grey levels a pixel below which a gradient is mostly noise."""
MEASURED_SIDE = 64
"""Frames are made smaller by the whole factor that brings the short side nearest to so many pixels."""


def camera_shifts(video: Tensor) -> Tensor:
    """How far the scene of the middle frame has moved in each frame of (N, T, 3, H, W): (N, T, 2), down and right.

    By orientation correlation (Fitch, Kadyrov, Christmas, Kittler, BMVC 2002): every pixel becomes the direction of its
    gradient, a complex number of length 1, so that the shift of the larger part of the frame has the highest peak and
    not that of its brightest thing. A parabola through the peak and its neighbours gives fractions of a pixel. Clips
    are uint8; shifts are in their pixels, at most `REACH` of the sides, and 0 where frames do not resemble each other.
    """
    t, (height, width) = video.shape[1], video.shape[-2:]
    factor = max(1, round(min(height, width) / MEASURED_SIDE))
    luma = sum(share * video[:, :, channel] for channel, share in enumerate(LUMA))
    small = F.avg_pool2d(torch.as_tensor(luma), factor)
    h, w = small.shape[-2:]
    across, along = torch.gradient(small, dim=(2, 3))
    gradient = torch.complex(along, across)
    # The borders of a frame are not those of its scene: a window makes them fade.
    window = torch.hann_window(h, device=video.device)[:, None] * torch.hann_window(w, device=video.device)
    directions = gradient / (gradient.abs() + FLAT) * window
    spectra = torch.fft.fft2(directions)
    lengths = directions.flatten(2).norm(dim=2)
    product = spectra * spectra[:, t // 2, None].conj()
    both = (lengths * lengths[:, t // 2, None]).clamp(min=1e-6)
    correlation = torch.fft.ifft2(product).real / both[:, :, None, None]
    down, right = max(1, int(REACH * h)), max(1, int(REACH * w))
    near = torch.roll(correlation, (down + 1, right + 1), (2, 3))[:, :, : 2 * down + 3, : 2 * right + 3]
    inner = near[:, :, 1:-1, 1:-1].flatten(2)
    peak, place = inner.max(2)
    y, x = place // (2 * right + 1), place % (2 * right + 1)
    wide = 2 * right + 3
    at = (y + 1) * wide + x + 1
    flat = near.flatten(2)
    shift = torch.stack([y - down + _vertex(flat, at, peak, wide), x - right + _vertex(flat, at, peak, 1)], 2)
    return torch.where((peak >= LEAST_PEAK)[:, :, None], factor * shift, 0.0)


def _vertex(values: Tensor, at: Tensor, peak: Tensor, step: int) -> Tensor:
    """Where a parabola through three of the values (N, T, K) is largest, in [-1/2, 1/2]; `at` and `peak` are (N, T)."""
    before, after = (values.gather(2, (at + move)[:, :, None])[:, :, 0] for move in (-step, step))
    curve = (2 * peak - before - after).clamp(min=1e-9)
    return ((after - before) / (2 * curve)).clamp(-0.5, 0.5)


def stabilised_crop(
    video: Tensor, size: int, rng: Generator, *, areas: Tensor, shifts: Tensor, least_side: float
) -> Tensor:
    """One random square window of each clip that follows the scene: (N, T, 3, H, W) uint8 -> (N, T, 3, size, size).

    float32 in [0, 1].

    Args:
        video: clips.
        size: side of the result in pixels.
        rng: for `stabilised_boxes`.
        areas: as of `stabilised_boxes`.
        shifts: as of `stabilised_boxes`.
        least_side: as of `stabilised_boxes`.
    """
    boxes = stabilised_boxes(rng, areas=areas, shifts=shifts, least_side=least_side)
    frames: Tensor = crop_resize(video.flatten(0, 1), boxes.flatten(0, 1), size).unflatten(0, video.shape[:2])
    return frames


def stabilised_boxes(rng: Generator, *, areas: Tensor, shifts: Tensor, least_side: float) -> Tensor:
    """One random square window of each clip that follows the scene, in each frame: (N, T, 4) as of `crop_resize`.

    The window stays inside its area in every frame, so that nothing has to be filled in; half of them are mirrored.

    Args:
        rng: for the side, the place and the mirror image.
        areas: (N, 4) top, left, height and width of what may be cut, as of `ops.frames.without_bars`.
        shifts: (N, T, 2) of `camera_shifts`, or zeros for windows that do not move.
        least_side: smallest side of a window, as a share of the largest that fits.
    """
    n, t = shifts.shape[:2]
    low, high = shifts.amin(1).clamp(max=0), shifts.amax(1).clamp(min=0)
    room = areas[:, 2:] - (high - low)
    side = room.amin(1) * uniform((n,), least_side, 1, rng)
    corner = areas[:, :2] - low + uniform((n, 2), 0, 1, rng) * (room - side[:, None])
    top, left = (corner[:, None] + shifts).flatten(0, 1).unbind(1)
    is_mirrored = (uniform((n,), 0, 1, rng) < 0.5).repeat_interleave(t)
    each = side.repeat_interleave(t)
    return mirrored_boxes(top, left, each, each, is_mirrored).view(n, t, 4)

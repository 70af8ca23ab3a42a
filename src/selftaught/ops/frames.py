"""Frames of a clip: picked by index, cut from nearly the same window, with channels split."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.crop import crop_resize, mirrored_boxes, random_boxes


def gather_frames(video: Tensor, index: Tensor) -> Tensor:
    """Frames of each clip: video (N, T, C, H, W), index (N, K) int64 -> (N, K, C, H, W)."""
    rows = torch.arange(video.shape[0], device=video.device)[:, None]
    return video[rows, index]


def jittered_crop(
    frames: Tensor,
    size: int,
    rng: Generator,
    *,
    scale: tuple[float, float],
    jitter: float,
    flip: float = 0.5,
    areas: Tensor | None = None,
) -> Tensor:
    """One random window for all frames of a clip, shifted a little for each: (N, K, C, H, W) -> (N, K, C, size, size).

    The window is the random-resized crop of `ops.crop`, mirrored with probability `flip`, and each frame is cut from it
    by `shifted_crop`. `areas` (N, 4) are what may be cut, as of `without_bars`; None is the whole frame.
    """
    boxes = boxes_within(whole_areas(frames) if areas is None else areas, rng, scale=scale, flip=flip)
    return shifted_crop(frames, boxes, size, rng, jitter=jitter, areas=areas)


def boxes_within(areas: Tensor, rng: Generator, *, scale: tuple[float, float], flip: float = 0.5) -> Tensor:
    """Boxes of `ops.crop.random_boxes` inside areas (N, 4) of top, left, height and width: (N, 4)."""
    boxes = random_boxes(len(areas), areas[:, 2], areas[:, 3], rng, scale, flip=flip)
    return torch.cat([boxes[:, :2] + areas[:, :2], boxes[:, 2:]], 1)


def whole_areas(frames: Tensor) -> Tensor:
    """Top, left, height and width of whole frames (N, ..., H, W): (N, 4) float32."""
    h, w = frames.shape[-2:]
    return torch.tensor([0.0, 0.0, h, w], device=frames.device).expand(len(frames), 4)


def shifted_crop(
    frames: Tensor, boxes: Tensor, size: int, rng: Generator, *, jitter: float, areas: Tensor | None = None
) -> Tensor:
    """The window of each clip, shifted a little for each of its frames: (N, K, C, H, W) -> (N, K, C, size, size).

    Each frame's own shift is uniform in +-`jitter` of the window's sides and not a whole number of pixels, so that
    neither the position of the window nor the 8 x 8 block grid of a codec identifies a frame. The shifted
    window stays inside the frame. float32, in [0, 1] from uint8.

    Args:
        frames: of clips, as above.
        boxes: (N, 4) top, left, height, width of each clip's window, as `ops.crop.crop_resize` takes them.
        size: side of the result in pixels.
        rng: for the shifts.
        jitter: share of the window's sides.
        areas: (N, 4) in which windows stay, as of `without_bars`; None is the whole frame.
    """
    n, k = frames.shape[:2]
    top, left, height, width = boxes[:, :, None].unbind(1)
    first, start, tall, wide = (whole_areas(frames) if areas is None else areas)[:, :, None].unbind(1)
    shift = uniform((2, n, k), -jitter, jitter, rng)
    low, high = torch.minimum(left, left + width), torch.maximum(left, left + width)
    down = (shift[0] * height).clamp(first - top, first + tall - height - top)
    right = (shift[1] * width.abs()).clamp(start - low, start + wide - high)
    shifted = torch.stack([top + down, left + right, height.expand(n, k), width.expand(n, k)], 2)
    return crop_resize(frames.flatten(0, 1), shifted.flatten(0, 1), size).view(n, k, -1, size, size)


def split_channels(frames: Tensor, rng: Generator) -> Tensor:
    """Channel splitting (Lee et al., ICCV 2017): each frame becomes one of its channels, copied to all three.

    Frames (N, K, 3, H, W) -> the same shape. Colour can then not be followed from frame to frame.
    """
    n, k, c, h, w = frames.shape
    channel = torch.randint(c, (n, k), generator=rng, device=rng.device)
    return frames.gather(2, channel[:, :, None, None, None].expand(n, k, 1, h, w)).expand(n, k, c, h, w)


def square_crops(video: Tensor, size: int, rng: Generator, *, least_side: float) -> Tensor:
    """One random square between the black bars for all frames of a clip, half of the squares mirrored.

    Args:
        video: (N, T, 3, H, W) uint8.
        size: side S of the result in pixels.
        rng: for the squares.
        least_side: of a square, as a share of the short side of what is between the bars, in (0, 1].

    Returns:
        (N, T, 3, S, S) float32 in [0, 1].
    """
    boxes = square_boxes(without_bars(video), rng, least_side=least_side).repeat_interleave(video.shape[1], 0)
    frames: Tensor = crop_resize(video.flatten(0, 1), boxes, size).clamp_(0, 1).unflatten(0, video.shape[:2])
    return frames


def square_boxes(areas: Tensor, rng: Generator, *, least_side: float) -> Tensor:
    """A random square (N, 4) in each area (N, 4), as `ops.crop.crop_resize` takes them; half of them mirrored.

    The side is uniform between `least_side` and 1 times the area's short side.
    """
    top, left, height, width = areas.unbind(1)
    n = len(areas)
    side = torch.minimum(height, width) * uniform((n,), least_side, 1, rng)
    top = top + uniform((n,), 0, 1, rng) * (height - side)
    left = left + uniform((n,), 0, 1, rng) * (width - side)
    return mirrored_boxes(top, left, side, side, uniform((n,), 0, 1, rng) < 0.5)


def without_bars(video: Tensor, *, dark: int = 16) -> Tensor:
    """The area between the black bars of each clip: (N, T, 3, H, W) uint8 -> boxes (N, 4) top, left, height, width.

    A row or column at the edge belongs to a bar where its brightest channel is below `dark` in the mean over its
    pixels, in any frame: bars may grow, or come and go. One pixel of 64 is cut off on every side as well, as the edge
    of a frame is a mixture with what it touches, and its outermost lines may have a brightness of their own. Where less
    than half of a side would be left, the frame or the clip is dark and not barred, and that side stays.
    """
    h, w = video.shape[-2:]
    bright = video.amax(2).float()
    low, height = _between(bright.mean(3) >= dark, h)
    left, width = _between(bright.mean(2) >= dark, w)
    return torch.stack([low, left, height, width], 1)


def _between(is_bright: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """First edge and length (N,) float32 of the part between the dark ends of an axis (N, T, length) bool."""
    before, behind = is_bright.int().argmax(2), is_bright.flip(2).int().argmax(2)
    is_dark = ~is_bright.any(2) | (length - before - behind < length / 2)
    start, cut = before.masked_fill(is_dark, 0).amax(1), behind.masked_fill(is_dark, 0).amax(1)
    is_dark = length - start - cut < length / 2
    # Small frames have no pixel to spare.
    margin = math.ceil(length / 64) if length >= 16 else 0
    start, cut = start.masked_fill(is_dark, 0) + margin, cut.masked_fill(is_dark, 0) + margin
    return start.float(), (length - start - cut).float()

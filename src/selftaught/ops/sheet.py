"""Many small images as one file of equal tiles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

QUALITY = 75
"""Of JPEG."""
MOST_IN_STRIP = 12
"""Frames of a strip; more would be too small to see."""
STRIP_SIDE = 64
"""Pixels of the short side of a frame of a strip, at least."""
GAP = 2
"""White pixels between the frames of a strip."""
HELD = 4
"""Frames of a clip for which `flip_book` shows each of its images."""


def fit(pictures: Tensor, side: int) -> Tensor:
    """Images (N, 3, h, w) in [0, 1] as tiles (N, 3, side, side): reduced smoothly, enlarged without smoothing."""
    if min(pictures.shape[-2:]) < side:
        return F.interpolate(pictures, (side, side), mode="nearest-exact")
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True).clamp(0, 1)


def lay_out(tiles: Tensor, columns: int, gap: int = 0) -> Tensor:
    """Tiles (N, 3, S, S) row by row as one image (3, R, C), white between them and after the last."""
    rows = -(-len(tiles) // columns)
    padded = F.pad(tiles, (0, gap, 0, gap), value=1.0)
    blank = padded.new_ones(rows * columns - len(tiles), *padded.shape[1:])
    grid = torch.cat([padded, blank]).unflatten(0, (rows, columns))
    whole: Tensor = grid.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
    return whole[:, : whole.shape[1] - gap, : whole.shape[2] - gap]


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly chosen, with the first and the last."""
    chosen: list[int] = torch.linspace(0, count - 1, min(count, most)).round().long().tolist()
    return chosen


def lay_strip(frames: Tensor, numbers: Sequence[int] = ()) -> Tensor:
    """Frames (T, 3 or 1, H, W) in [0, 1] side by side as one image (3, R, C), with a number in the corner of each.

    Of more than 12 frames 12 are chosen evenly. Frames below 64 pixels are enlarged by a whole factor, each pixel
    repeated, so that the numbers can be read.
    """
    if numbers and len(numbers) != len(frames):
        raise ValueError(f"a strip of {len(frames)} frames must have as many numbers or none, got {len(numbers)}")
    chosen = evenly(len(frames), MOST_IN_STRIP)
    shown = numbered(frames[chosen], [numbers[place] for place in chosen] if numbers else ())
    whole: Tensor = F.pad(shown, (0, GAP), value=1.0).permute(1, 2, 0, 3).flatten(2)[..., :-GAP]
    return whole


def numbered(frames: Tensor, numbers: int | Sequence[int]) -> Tensor:
    """Frames (T, 3 or 1, H, W) in [0, 1] -> (T, 3, h, w), with a number in the corner of each: one of all, or its own.

    They are enlarged as in a strip.
    """
    shown = frames.detach().float().cpu().clamp(0, 1).expand(-1, 3, -1, -1)
    factor = max(1, -(-STRIP_SIDE // min(shown.shape[-2:])))
    shown = shown.repeat_interleave(factor, 2).repeat_interleave(factor, 3).clone()
    for number, frame in zip([numbers] * len(shown) if isinstance(numbers, int) else numbers, shown, strict=False):
        mark = _number(number)[:, : frame.shape[1], : frame.shape[2]]
        frame[:, : mark.shape[1], : mark.shape[2]] = mark
    return shown


def flip_book(frames: Tensor, numbers: Sequence[int] = ()) -> Tensor:
    """Images (T, 3 or 1, H, W) in [0, 1] as a clip (4 T, 3, h, w) that shows one after the other, each for a moment."""
    return numbered(frames, numbers).repeat_interleave(HELD, 0)


def _number(number: int) -> Tensor:
    """A number in white on black, (3, h, w) in [0, 1]."""
    text = str(number)
    _, _, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((3, 1), text)
    drawn = Image.new("L", (int(right) + 3, int(bottom) + 3))
    ImageDraw.Draw(drawn).text((3, 1), text, fill=255)
    return torch.from_numpy(np.asarray(drawn).copy()).float().div(255).expand(3, -1, -1)


def encode_picture(picture: Tensor, kind: str) -> bytes:
    """An image (3, H, W) in [0, 1] as the bytes of a "png" or "jpg" file."""
    pixels = (picture.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    target = io.BytesIO()
    options: dict[str, Any] = {"optimize": True} if kind == "png" else {"quality": QUALITY}
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, "PNG" if kind == "png" else "JPEG", **options)
    return target.getvalue()

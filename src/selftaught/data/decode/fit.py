"""The geometry of packed images: the short side to `side`, the aspect kept, the long side cut, a square taken out.

Both the packed store and decoding on the fly go through here, which is why they give the same bytes.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import MIN_SIDE, Decoding, Payload, Scratch, decode_image
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable

MAX_ASPECT = 3
"""Longer images are cut in the middle to this ratio, so that a panorama costs no more than three images."""


def fit(
    payload: Payload,
    *,
    side: int,
    decoding: Decoding,
    scratch: Scratch | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Decode where needed and scale to a short side of exactly `side`; (H, W, C) uint8, never squashed.

    Args:
        payload: what a source reads.
        side: pixels.
        decoding: how deep images are shown and how large one may be.
        scratch: memory to decode into.
        out: flat memory whose beginning takes the result, at least MAX_ASPECT * side * side * C bytes.
    """
    if isinstance(payload, str | EncodedVideo | FrameSequence):
        raise TypeError(f"{payload} is a video, not an image")
    pixels = as_shown(payload, min_side=side, decoding=decoding, scratch=scratch)
    height, width = pixels.shape[:2]
    short = min(height, width)
    if max(height, width) > MAX_ASPECT * short:
        height, width = min(height, MAX_ASPECT * short), min(width, MAX_ASPECT * short)
        pixels = _cut(pixels, height=height, width=width)
    new_height = side if height == short else round(height * side / short)
    new_width = side if width == short else round(width * side / short)
    shape = (new_height, new_width, decoding.depth)
    fitted = np.empty(shape, np.uint8) if out is None else out[: math.prod(shape)].reshape(shape)
    if short == side:
        fitted[:] = pixels
    else:
        # Up to half size two taps still weigh every source pixel, nearly as area averaging does, at a fifth of its
        # time; beyond that they would skip pixels and alias. Enlarging by area would be nearest neighbour.
        how = cv2.INTER_AREA if short > 2 * side else cv2.INTER_LINEAR
        if decoding.depth == 1:
            fitted[:] = cv2.resize(pixels, (new_width, new_height), interpolation=how).reshape(shape)
        else:
            cv2.resize(pixels, (new_width, new_height), dst=fitted, interpolation=how)
    return fitted


def as_shown(
    payload: bytes | NDArray[np.uint8] | Values,
    *,
    decoding: Decoding,
    min_side: int | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.uint8]:
    """An image as its numbers are shown, (H, W, C) uint8; the arguments are those of `decode_image`."""
    if isinstance(payload, Values):
        height, width = payload.pixels.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise Unreadable(f"only {width} x {height} pixels")
        return payload.in_channels(decoding.channels) if decoding.channels else payload.shown(decoding.value_range)
    if not isinstance(payload, bytes):
        if payload.shape[2] != decoding.depth:
            raise Unreadable(f"has {payload.shape[2]} channels, not the {decoding.depth} of --channels")
        return payload
    assert not decoding.channels, "a source that heeds --channels gives numbers"
    return decode_image(payload, min_side=min_side, scratch=scratch, decoding=decoding)


def window(pixels: NDArray[np.uint8], *, side: int, y: float, x: float) -> NDArray[np.uint8]:
    """The square of `side` at the relative position (y, x), each in [0, 1); every place is equally likely. A view."""
    top, left = corner(pixels.shape[0], pixels.shape[1], side=side, y=y, x=x)
    return pixels[top : top + side, left : left + side]


def corner(height: int, width: int, *, side: int, y: float, x: float) -> tuple[int, int]:
    """Upper row and left column of that square in an image of this size."""
    return int(y * (height - side + 1)), int(x * (width - side + 1))


def _cut(pixels: NDArray[np.uint8], *, height: int, width: int) -> NDArray[np.uint8]:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]

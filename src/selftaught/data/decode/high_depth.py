"""Images of more than eight bits: one range of values for a whole data set becomes 0 to 255."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.values import ValueRange

_TOPS = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 16))
_WHOLE = 0.8
"""Data that use so much of the range of their bits are shown by that range: at least 200 of 256 levels are left."""
_OUTSIDE = 0.1
"""Percent of the values that may be below the range, and above it."""
_LOOKED_AT = 1 << 16
"""Values of each image the range is chosen by."""
_STRIP = 1 << 20


def quieten_opencv() -> None:
    """Otherwise OpenCV prints every fault of a file to stderr. OpenCV 5 has moved what OpenCV 4 calls `setLogLevel`."""
    place: Any = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
    place.setLogLevel(0)


def decode_deep(data: bytes) -> NDArray[Any] | None:
    """(H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA as the file has the numbers; None where OpenCV cannot read it."""
    quieten_opencv()
    with contextlib.suppress(cv2.error):
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if found is None:
            return None
        values: NDArray[Any] = np.asarray(found)
        if values.ndim == 2:
            return values[:, :, None]
        if values.shape[2] == 2:  # grey and alpha, or a second channel of a microscope
            return values[:, :, :1]
        return values[:, :, [2, 1, 0, *range(3, min(4, values.shape[2]))]]
    return None


def to_uint8(values: NDArray[Any], value_range: ValueRange | None, *, is_inverted: bool = False) -> NDArray[np.uint8]:
    """(H, W, C) of any numbers to (H, W, 3) uint8, transparency over white; NaN becomes 0.

    Without a range, integers are shown by the range of 16 bits, and other numbers from 0 to 1.
    """
    low, high = value_range or type_range(values.dtype)
    table = None
    if values.dtype == np.uint16:
        table = scaled(np.arange(1 << 16), low, high)
    height, width, channels = values.shape
    out = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = values[top : top + rows]
        colours = part[:, :, :3]
        shown = scaled(colours, low, high) if table is None else table[colours]
        shown = 255 - shown if is_inverted else shown
        if channels == 4:
            alpha = np.clip(part[:, :, 3:] / type_range(values.dtype).high, 0, 1)
            shown = (shown * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
        out[top : top + rows] = shown
    return out


def type_range(kind: np.dtype[Any]) -> ValueRange:
    """What an image of this type is shown by where nothing else is known."""
    if kind.kind == "f":
        return ValueRange(0.0, 1.0)
    if kind.itemsize <= 2:
        return ValueRange(float(np.iinfo(kind).min), float(np.iinfo(kind).max))
    return ValueRange(0.0, 65535.0)


def choose_range(images: Sequence[NDArray[Any]], *, is_by_bits: bool = True) -> ValueRange:
    """One range for several images: that of the bits they use (`is_by_bits`), else one with 99.8 % of their values.

    0 to 4095 where the data fill most of twelve bits, 0 to 1 where numbers with a point fill that.
    """
    values = np.concatenate([_some(image) for image in images])
    if not len(values):
        return ValueRange(0.0, 1.0)
    low, high = (float(found) for found in np.percentile(values, (_OUTSIDE, 100 - _OUTSIDE)))
    least, most = float(values.min()), float(values.max())
    tops = _TOPS if all(image.dtype.kind in "iu" for image in images) else (1.0, *_TOPS)
    top = next((top for top in tops if most <= top), None)
    if is_by_bits and top is not None and least >= 0 and high - low >= _WHOLE * top:
        return ValueRange(0.0, top)
    if high <= low:
        low, high = (least, most) if most > least else (low, low + 1)
    return ValueRange(_rounded(low), _rounded(high))


def _some(image: NDArray[Any]) -> NDArray[np.float64]:
    """Finite values of an image, evenly over it, without its alpha."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / _LOOKED_AT)))
    values = image[::step, ::step, :3].astype(np.float64).ravel()
    return values[np.isfinite(values)]


def _rounded(value: float) -> float:
    """To six digits, so that the text of a range is the range."""
    return float(f"{value:.6g}")


def scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Numbers of any shape with `low` to `high` as 0 to 255; NaN becomes 0."""
    with np.errstate(all="ignore"):
        shown = (values.astype(np.float64) - low) * (255.0 / (high - low)) + 0.5
    return np.clip(np.nan_to_num(shown, nan=0.0, posinf=255.0, neginf=0.0), 0, 255).astype(np.uint8)

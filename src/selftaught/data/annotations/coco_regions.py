"""Pixels of a region as COCO writes it: polygons, or run lengths down the columns, plain or compressed to a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Region: TypeAlias = "Mapping[str, Any] | Sequence[NDArray[np.float32]]"
"""{"size": [height, width], "counts": ...}, or polygons (P, 2) of x and y in pixels."""


_MOST_POINTS = 100_000


def parse_region(told: Any) -> Region:
    """A region as the JSON has it, checked.

    Raises:
        ValueError: where it is neither polygons nor run lengths; the text says how.
    """
    if isinstance(told, Mapping):
        size, counts = told.get("size"), told.get("counts")
        if not isinstance(size, list) or not isinstance(counts, str | list):
            raise ValueError("has a segmentation without size and counts")
        if isinstance(counts, list) and not all(isinstance(run, int) and abs(run) < 1 << 40 for run in counts):
            raise ValueError("has run lengths that are no numbers of pixels")
        return told
    try:
        rings = [np.asarray(ring, np.float64) for ring in told]
    except (TypeError, ValueError, OverflowError, RecursionError):
        rings = [np.zeros(1)]
    if any(ring.ndim != 1 or ring.size % 2 or not np.isfinite(ring).all() for ring in rings):
        raise ValueError("has a polygon that is no list of x and y in turn")
    if sum(ring.size for ring in rings) > 2 * _MOST_POINTS:
        raise ValueError(f"has polygons of more than {_MOST_POINTS} points")
    return [np.clip(ring, -1e9, 1e9).astype(np.float32).reshape(-1, 2) for ring in rings if ring.size]


def region_pixels(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width), True inside the region.

    Raises:
        ValueError: where the region does not fit the image; the text says how.
    """
    if not isinstance(region, Mapping):
        pixels = np.zeros((height, width), np.bool_)
        for polygon in region:
            pixels |= polygon_pixels(polygon, height, width)
        return pixels
    if list(region["size"]) != [height, width]:
        raise ValueError(f"has the size {str(region['size'])[:60]}, not {[height, width]}")
    counts = region["counts"]
    runs = np.array(runs_of(counts) if isinstance(counts, str | bytes) else counts, np.int64)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"has runs of {runs.sum()} pixels in all, not {height * width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def polygon_pixels(polygon: NDArray[np.float32], height: int, width: int) -> NDArray[np.bool_]:
    """(height, width), True where the centre of a pixel is inside the polygon (P, 2), by the even-odd rule."""
    first, second = polygon.astype(np.float64), np.roll(polygon, -1, axis=0).astype(np.float64)
    centres = np.arange(height)[:, None] + 0.5
    # An edge crosses a line of centres if its ends are on different sides.
    crosses = (first[:, 1] <= centres) != (second[:, 1] <= centres)
    rows, edges = np.nonzero(crosses)
    start, end = first[edges], second[edges]
    x = start[:, 0] + (centres[rows, 0] - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    # From the first centre right of a crossing on, inside and outside change places.
    turns = np.zeros((height, width + 1), np.int64)
    np.add.at(turns, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    pixels: NDArray[np.bool_] = turns.cumsum(1)[:, :width] % 2 == 1
    return pixels


def runs_of(text: str | bytes) -> list[int]:
    """Run lengths of COCO's text: 5 bits in each character; from the fourth run on, the change to two before."""
    codes = text.encode() if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        bits = code - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError("has run lengths that are damaged")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # more follow
            continue
        if bits & 16:  # negative
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs

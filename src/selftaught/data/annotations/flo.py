"""Optical flow in Middlebury's .flo files (Baker et al., IJCV 2011): float32, row by row, (x, y) in pixels."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_MAGIC = 202021.25
_LARGEST = 1 << 28
"""Pixels; no flow is as large."""


def read_flo(data: bytes, file: str) -> NDArray[np.float32]:
    """Flow (H, W, 2); a ValueError names the file where it is none."""
    if len(data) < 12 or struct.unpack("<f", data[:4])[0] != _MAGIC:
        raise ValueError(f"{file} does not begin as a .flo file does")
    width, height = struct.unpack("<ii", data[4:12])
    if not (width > 0 and height > 0 and width * height <= _LARGEST):
        raise ValueError(f"{file} says that it is {width} x {height} pixels")
    if len(data) != 12 + 8 * width * height:
        raise ValueError(f"{file} has {len(data)} bytes, but {width} x {height} pixels take {12 + 8 * width * height}")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)


def write_flo(flow: NDArray[np.float32]) -> bytes:
    """The file of a flow (H, W, 2)."""
    height, width = flow.shape[:2]
    return struct.pack("<fii", _MAGIC, width, height) + np.ascontiguousarray(flow, "<f4").tobytes()

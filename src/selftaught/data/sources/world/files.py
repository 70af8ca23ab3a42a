"""Where the files of written scenes are, and how each kind is encoded."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.depth_folder import decode_depth
from selftaught.data.annotations.flo import read_flo, write_flo

INDEX = "selftaught-world.json"
"""The file by which the folder is known."""
FRAMES, VIDEOS, POSES, CALIBRATION, COCO = "rgb", "videos", "poses", "calibration", "instances.json"
LABELS = "labels.csv"
"""Materials of the scenes, where these have sound."""
MAPS = ("depth", "normals", "instances", "contours", "moving", "flow", "occlusion")
"""Kinds of `inputs.GIVEN` with a file for each frame, in folders of their names."""
_MILLIMETRES = 1000.0
_STEPS = 32767
"""Of a component of a normal, to either side of 0 in 16 bits."""


def scene_name(number: int) -> str:
    """Of the folders and files of a scene."""
    return f"{number:06d}"


def frame_file(kind: str, number: int, frame: int) -> str:
    """The file of one frame, below the folder of the data."""
    ending = "flo" if kind == "flow" else "png"
    return f"{kind}/{scene_name(number)}/{frame:06d}.{ending}"


def sound_file(number: int) -> str:
    """The sound of a scene, beside its video."""
    return f"{VIDEOS}/{scene_name(number)}.wav"


def encode(kind: str, values: NDArray[Any]) -> bytes:
    """The content of the file of a map (H, W, ...), as of `GivenMaps.read`."""
    if kind == "flow":
        return write_flo(values)
    if kind == "depth":
        return png_of(np.rint(values * _MILLIMETRES).clip(0, 65534).astype(np.uint16))
    if kind == "normals":
        return png_of(np.rint((values + 1) * _STEPS).astype(np.uint16))
    if kind == "instances":
        return png_of(values.astype(np.uint16))
    return png_of(values)


def decode(kind: str, data: bytes, file: str) -> NDArray[Any]:
    """What `encode` wrote; a ValueError names a file that is something else."""
    if kind == "flow":
        return read_flo(data, file)
    if kind == "depth":
        return decode_depth(data, file) / np.float32(_MILLIMETRES)
    values = decode_png(data, file)
    if kind == "normals":
        return np.asarray(values.astype(np.float32) / _STEPS - 1, np.float32)
    return values.astype(np.int16) if kind == "instances" else values


def png_of(values: NDArray[Any]) -> bytes:
    """The PNG of an image or map of 8 or 16 bits; three channels are red, green and blue."""
    ordered = values[:, :, ::-1] if values.ndim == 3 else values
    return bytes(cv2.imencode(".png", np.ascontiguousarray(ordered))[1])


def decode_png(data: bytes, file: str) -> NDArray[Any]:
    """What `png_of` wrote; a ValueError names a file that is something else."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if values is None:
        raise ValueError(f"{file} cannot be read as PNG")
    return np.ascontiguousarray(values[:, :, ::-1] if values.ndim == 3 else values)

"""Poses and intrinsics in text files as KITTI's odometry has them (Geiger et al., CVPR 2012)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def read_poses(text: str, file: str) -> NDArray[np.float64]:
    """(T, 4, 4) camera to world, one line of 12 numbers a frame; a ValueError names the file and line."""
    lines = [line for line in text.splitlines() if line.strip()]
    return np.array([_matrix(line, f"line {number} of {file}") for number, line in enumerate(lines, 1)]).reshape(
        -1, 4, 4
    )


def write_poses(poses: NDArray[np.floating]) -> str:
    """The file of poses (T, 4, 4)."""
    return "".join(" ".join(f"{value:.9e}" for value in pose[:3].ravel().tolist()) + "\n" for pose in poses)


def read_intrinsics(text: str, file: str, camera: str = "P0") -> NDArray[np.float64]:
    """(3, 3) of a camera in a calibration file, `P0: ` and 12 numbers; a ValueError names the file."""
    for line in text.splitlines():
        name, _, values = line.partition(":")
        if name.strip() == camera:
            return _matrix(values, f"{camera} of {file}")[:3, :3]
    raise ValueError(f"{file} has no camera {camera}")


def write_intrinsics(intrinsics: NDArray[np.floating], camera: str = "P0") -> str:
    """The calibration file of one camera (3, 3)."""
    whole = np.concatenate([intrinsics, np.zeros((3, 1))], 1)
    return f"{camera}: {' '.join(f'{value:.9e}' for value in whole.ravel().tolist())}\n"


def _matrix(line: str, where: str) -> NDArray[np.float64]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise ValueError(f"{where} holds what is no number") from None
    if len(values) != 12:
        raise ValueError(f"{where} must be 12 numbers, got {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{where} has numbers that are not finite")
    return np.concatenate([np.reshape(values, (3, 4)), [[0.0, 0, 0, 1]]])

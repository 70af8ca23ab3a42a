"""Poses and intrinsics as matrices in text files, as 7-Scenes has them (Shotton et al., CVPR 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SLACK = 1e-2
"""How far from orthonormal a rotation may be, as files are rounded."""


def read_matrix(text: str, file: str, side: int) -> NDArray[np.float64]:
    """A square matrix (side, side), one row a line; a ValueError names the file."""
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"{file} holds what is no number") from None
    if len(values) != side * side:
        raise ValueError(f"{file} must be a matrix of {side} x {side} numbers, got {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{file} has numbers that are not finite")
    return np.reshape(values, (side, side))


def check_poses(poses: NDArray[np.float64], file: str) -> NDArray[np.float64]:
    """The poses (T, 4, 4) again; a ValueError names the file where one is no rotation and translation."""
    turns = poses[:, :3, :3]
    error = np.abs(turns.transpose(0, 2, 1) @ turns - np.eye(3)).max((1, 2), initial=0)
    wrong = (error > _SLACK) | (np.linalg.det(turns) < 0) | (np.abs(poses[:, 3] - [0, 0, 0, 1]).max(1) > _SLACK)
    if wrong.any():
        raise ValueError(
            f"pose {int(wrong.argmax()) + 1} of {file} is no rotation and translation; give matrices from the axes of "
            "the camera to those of the world"
        )
    return poses


def check_intrinsics(intrinsics: NDArray[np.float64], file: str) -> NDArray[np.float64]:
    """The intrinsics (3, 3) again; a ValueError names the file where they are none."""
    if intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0 or np.abs(intrinsics[2] - [0, 0, 1]).max() > _SLACK:
        raise ValueError(f"{file} holds no intrinsics; the focal lengths must be above 0 and the last row 0 0 1")
    return intrinsics

"""A known motion of a camera, as tests write it in the formats of data sets."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

TURN = np.array([0.1, 0.3, -0.05])
"""Radians a second."""
START = np.array([0.4, -0.2, 0.9])


def pose_at(second: float) -> NDArray[np.float64]:
    """Pose (4, 4) of a camera that turns about one axis and moves straight, both evenly."""
    out = np.eye(4)
    out[:3, :3] = cv2.Rodrigues(START)[0] @ cv2.Rodrigues(second * TURN)[0]
    out[:3, 3] = (1 + 0.5 * second, -2, 3 - 2 * second)
    return out


def quaternion(pose: NDArray[np.float64]) -> list[float]:
    """x, y, z, w."""
    found: list[float] = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    return found


def tum_lines(seconds: NDArray[np.float64], *, begin: float = 0.0) -> str:
    """`groundtruth.txt` at these seconds after `begin`."""
    lines = []
    for second in seconds.tolist():
        pose = pose_at(second)
        lines.append(" ".join(f"{value:.9f}" for value in (begin + second, *pose[:3, 3], *quaternion(pose))))
    return "# timestamp tx ty tz qx qy qz qw\n" + "\n".join(lines) + "\n"


def table(seconds: NDArray[np.float64]) -> str:
    """CSV of time, position and quaternion."""
    return "time,x,y,z,qx,qy,qz,qw\n" + "\n".join(
        ",".join(f"{value:.9f}" for value in (second, *pose_at(second)[:3, 3], *quaternion(pose_at(second))))
        for second in seconds.tolist()
    )

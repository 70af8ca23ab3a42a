"""Trajectories, lists of images and calibration as EuRoC has them (Burri et al., IJRR 2016)."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.poses.pose_matrices import check_intrinsics, check_poses
from selftaught.data.annotations.poses.rows import read_rows
from selftaught.data.annotations.poses.trajectory import Trajectory, poses_of, timed

_NANOSECONDS = 1e9
_NUMBERS = r"[^\[\]]*?\[([^\]]*)\]"


def read_trajectory(text: str, file: str) -> Trajectory:
    """That of the body, from the `data.csv` of `state_groundtruth_estimate0`.

    A line is nanoseconds, position in metres, and a unit quaternion with its real part first; what follows is not read.

    Raises:
        ValueError: of one sentence that names the file.
    """
    rows = read_rows(text, file, 8)
    return timed(rows[:, 0] / _NANOSECONDS, poses_of(rows[:, 1:4], rows[:, [5, 6, 7, 4]], file), file)


def read_list(text: str) -> list[tuple[float, str]] | None:
    """Seconds and name of each image of the `data.csv` of a camera, sorted by time; None of any other text."""
    found = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        moment, _, name = line.strip().partition(",")
        if not moment.strip().isdigit() or not name.strip() or "," in name:
            return None
        found.append((int(moment) / _NANOSECONDS, name.strip()))
    return sorted(found) or None


def read_mount(text: str, file: str) -> NDArray[np.float64]:
    """(4, 4) the pose of a camera in the axes of the body: `T_BS` of its `sensor.yaml`; a ValueError names the file."""
    numbers = _numbers(text, file, rf"T_BS:{_NUMBERS}", "T_BS", 16)
    return np.asarray(check_poses(np.reshape(numbers, (1, 4, 4)), file)[0])


def read_intrinsics(text: str, file: str) -> NDArray[np.float64]:
    """(3, 3) from `intrinsics` of a `sensor.yaml`, without the distortion; a ValueError names the file."""
    fx, fy, cx, cy = _numbers(text, file, rf"^intrinsics:{_NUMBERS}", "intrinsics", 4)
    return check_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), file)


def _numbers(text: str, file: str, pattern: str, name: str, count: int) -> list[float]:
    found = re.search(pattern, text, re.MULTILINE)
    try:
        values = [float(word) for word in found[1].replace(",", " ").split()] if found else []
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{file} must have {name} with {count} numbers, as the sensor.yaml of EuRoC has")
    return values

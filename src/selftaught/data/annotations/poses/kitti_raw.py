"""Poses, times and calibration of KITTI's raw recordings (Geiger et al., IJRR 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.poses.pose_matrices import check_intrinsics, check_poses
from selftaught.data.annotations.poses.rows import read_rows

Array = NDArray[np.float64]


def read_oxts(text: str, file: str) -> Array:
    """(6,) latitude, longitude, altitude, roll, pitch and yaw of one file; a ValueError names it."""
    rows = read_rows(text, file, 6)
    if len(rows) != 1:
        raise ValueError(f"{file} must be one line of numbers, got {len(rows)}")
    return np.asarray(rows[0])


def read_times(text: str, file: str) -> Array:
    """(T,) seconds of a `timestamps.txt`, from its first on; a ValueError names the file."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        times = np.array([np.datetime64(line.replace(" ", "T"), "ns") for line in lines], "datetime64[ns]")
    except ValueError:
        raise ValueError(f"{file} holds what is no time, such as 2011-09-26 13:02:25.964389445") from None
    return times.astype(np.int64) / 1e9


def read_intrinsics(cameras: str, file: str, number: int) -> Array:
    """(3, 3) of a rectified camera from `calib_cam_to_cam.txt`; a ValueError names the file."""
    return check_intrinsics(_entry(cameras, file, f"P_rect_{number:02d}", 12).reshape(3, 4)[:, :3], file)


def read_mount(texts: dict[str, str], number: int) -> Array:
    """(4, 4) the pose of a rectified camera in the axes of the inertial unit.

    Args:
        texts: of `calib_imu_to_velo.txt`, `calib_velo_to_cam.txt` and `calib_cam_to_cam.txt`, in that order, by path.
        number: of the camera, 2 for `image_02`.

    Raises:
        ValueError: naming the file that lacks an entry.
    """
    (imu_file, imu), (velo_file, velo), (cam_file, cam) = texts.items()
    rectify, shift = np.eye(4), np.eye(4)
    rectify[:3, :3] = _entry(cam, cam_file, "R_rect_00", 9).reshape(3, 3)
    projection = _entry(cam, cam_file, f"P_rect_{number:02d}", 12).reshape(3, 4)
    intrinsics = read_intrinsics(cam, cam_file, number)
    shift[:3, 3] = np.linalg.solve(intrinsics, projection[:, 3])
    seen = shift @ rectify @ _rigid(velo, velo_file) @ _rigid(imu, imu_file)
    return np.asarray(check_poses(np.asarray(np.linalg.inv(seen)[None], np.float64), cam_file)[0])


def _rigid(text: str, file: str) -> Array:
    out = np.eye(4)
    out[:3, :3] = _entry(text, file, "R", 9).reshape(3, 3)
    out[:3, 3] = _entry(text, file, "T", 3)
    return out


def _entry(text: str, file: str, name: str, count: int) -> Array:
    for line in text.splitlines():
        if line.partition(":")[0].strip() == name:
            values = read_rows(line.partition(":")[2], f"{name} of {file}", count)
            if len(values) and np.isfinite(values).all():
                return np.asarray(values[0])
    raise ValueError(f"{file} has no {name} with {count} numbers")

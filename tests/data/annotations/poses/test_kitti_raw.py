"""Files of KITTI's raw recordings."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.kitti_raw import read_intrinsics, read_mount, read_oxts, read_times

IMU = "calib_time: 25-May-2012\nR: 1 0 0 0 1 0 0 0 1\nT: -0.8 0.3 -0.75\n"
VELO = "calib_time: 15-Mar-2012\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\ndelta_f: 0 0\n"
CAMERAS = "R_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 700 0 600 42 0 700 170 0 0 0 1 0\n"


def test_the_camera_in_the_axes_of_the_unit() -> None:
    mount = read_mount({"imu": IMU, "velo": VELO, "cam": CAMERAS}, 2)
    # Right, down, forward of the camera are -y, -z, x of the unit.
    assert np.allclose(mount[:3, :3], np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]).T)
    # A point seen by the unit, by hand: to the scanner, to the first camera, then 42 / 700 m to the right camera.
    point = np.array([10.0, 2, 1])
    scanner = point + np.array([-0.8, 0.3, -0.75])
    first = np.array([-scanner[1], -scanner[2], scanner[0]]) + np.array([0, -0.1, -0.3])
    assert np.allclose(np.linalg.inv(mount) @ [*point, 1], [*(first + np.array([42 / 700, 0, 0])), 1])
    assert np.allclose(read_intrinsics(CAMERAS, "cam", 2), [[700, 0, 600], [0, 700, 170], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"^cam has no P_rect_03 with 12 numbers$"):
        read_mount({"imu": IMU, "velo": VELO, "cam": CAMERAS}, 3)
    with pytest.raises(ValueError, match=r"^imu has no T with 3 numbers$"):
        read_mount({"imu": "R: 1 0 0 0 1 0 0 0 1\n", "velo": VELO, "cam": CAMERAS}, 2)


def test_times_and_poses() -> None:
    times = read_times("2011-09-26 13:02:25.964389445\n2011-09-26 13:02:26.068069089\n\n", "t")
    assert times[1] - times[0] == pytest.approx(0.103679644, abs=1e-6)
    with pytest.raises(ValueError, match=r"^t holds what is no time"):
        read_times("13h\n", "t")
    assert read_oxts("49.01 8.43 116.4 0.03 0.006 -2.6 1 2 3\n", "o").tolist() == [
        49.01,
        8.43,
        116.4,
        0.03,
        0.006,
        -2.6,
    ]
    with pytest.raises(ValueError, match=r"^o must be one line of numbers, got 0$"):
        read_oxts("\n", "o")

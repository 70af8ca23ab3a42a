"""Trajectories, lists of images and calibration of EuRoC."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.euroc import read_intrinsics, read_list, read_mount, read_trajectory

SENSOR = """# General sensor definitions.
sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, -0.02,
         1.0, 0.0, 0.0, -0.06,
         0.0, 0.0, 1.0, 0.01,
         0.0, 0.0, 0.0, 1.0]
rate_hz: 20
resolution: [752, 480]
intrinsics: [458.654, 457.296, 367.215, 248.375] #fu, fv, cu, cv
distortion_coefficients: [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
"""


def test_the_real_part_of_a_quaternion_is_first() -> None:
    text = (
        "#timestamp, p_RS_R_x [m], ...\n1403636580838555648,4.5,-1.5,0.75,0,1,0,0,9,9,9\n"
        "1403636580888555648,4.5,-1.5,0.5,1,0,0,0,9,9,9\n"
    )
    found = read_trajectory(text, "data.csv")
    assert found.step == pytest.approx(0.05, abs=1e-6)
    assert np.allclose(found.poses[0, :3], [[1, 0, 0, 4.5], [0, -1, 0, -1.5], [0, 0, -1, 0.75]])
    assert np.allclose(found.poses[1, :3, :3], np.eye(3))


def test_calibration() -> None:
    assert np.allclose(read_mount(SENSOR, "s")[:3], [[0, -1, 0, -0.02], [1, 0, 0, -0.06], [0, 0, 1, 0.01]])
    expected = np.array([[458.654, 0, 367.215], [0, 457.296, 248.375], [0, 0, 1]])
    assert np.allclose(read_intrinsics(SENSOR, "s"), expected)
    with pytest.raises(ValueError, match=r"^s must have T_BS with 16 numbers, as the sensor\.yaml of EuRoC has$"):
        read_mount(SENSOR.replace("0.01,", ""), "s")
    with pytest.raises(ValueError, match=r"^s must have intrinsics with 4 numbers, as"):
        read_intrinsics("resolution: [752, 480]\n", "s")


def test_a_list_is_sorted_and_another_table_is_none() -> None:
    text = "#timestamp [ns],filename\n2000000000,b.png\n1500000000,a.png\n"
    assert read_list(text) == [(1.5, "a.png"), (2.0, "b.png")]
    assert read_list("1403636580838555648,4.5,-1.5\n") is None
    assert read_list("file,label\na.png,cat\n") is None

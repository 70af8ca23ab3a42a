"""Tables of poses: names and units of columns, both kinds, and what is wrong with one."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.gps import EARTH_RADIUS
from selftaught.data.annotations.poses.pose_table import read_table


@pytest.mark.parametrize(
    "text",
    [
        "time,x,y,z,qx,qy,qz,qw\n0.5,1,2,3,0,0,1,0\n1,1,2,4,0,0,0,1\n",
        "#timestamp [ns];qw;qx;qy;qz;p_x [m];p_y [m];p_z [m];speed\n500000000;0;0;0;1;1;2;3;9\n1e9;1;0;0;0;1;2;4;9\n",
        "tz, ty, tx, qw, qz, qy, qx, time_ms\n3,2,1,0,1,0,0,500\n4,2,1,1,0,0,0,1000\n\n",
    ],
)
def test_columns_are_found_by_their_names(text: str) -> None:
    found = read_table(text, "a.csv")
    assert found.times.tolist() == [0.5, 1]
    assert np.allclose(found.poses[0], [[-1, 0, 0, 1], [0, -1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    assert np.allclose(found.poses[1, :3, :3], np.eye(3))


@pytest.mark.parametrize(("name", "right"), [("yaw", np.pi / 2), ("yaw_deg", 90), ("yaw [deg]", 90)])
def test_a_vehicle_that_drives_north(name: str, right: float) -> None:
    north = 49 + np.degrees(10 / EARTH_RADIUS)
    text = f"time,lat,lon,alt,roll,pitch,{name}\n0,49,8.4,100,0,0,{right}\n1,{north:.12f},8.4,100,0,0,{right}\n"
    poses = read_table(text, "a.csv").poses
    moved = np.linalg.inv(poses[0]) @ poses[1]
    assert np.allclose(moved[:3, 3], [0, 0, 10], atol=1e-4)  # forwards
    assert np.allclose(poses[0][:3, :3] @ [0, 1, 0], [0, 0, -1])  # its down is that of the world


def test_wrong_tables_are_named() -> None:
    good = "time,x,y,z,qx,qy,qz,qw\n0,1,2,3,0,0,0,1\n1,1,2,4,0,0,0,1\n"
    for text, sentence in (
        ("", r"^a\.csv must have the columns time, x, .*, got none of them$"),
        (good.replace("qw", "w"), r"^a\.csv must have the columns .*, got time, x, y, z, qx, qy, qz$"),
        (good.replace("0,1\n1", "0,\n1"), r"^row 1 of a\.csv has numbers that are not finite$"),
        (good.replace("1,2,4", "1,far,4"), r"^y in row 2 of a\.csv is no number: 'far'$"),
        (good.replace("0,1\n1", "0,5\n1"), r"^the quaternion in row 1 of a\.csv has the norm 5 instead of 1"),
        (good.replace("\n1,", "\n-1,"), r"^the times of a\.csv fall from row 1 to the next"),
        (good.rpartition("\n1,")[0], r"^a\.csv has 1 poses"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_table(text, "a.csv")

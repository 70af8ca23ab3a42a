"""A vehicle that drives a known way on the globe."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.gps import EARTH_RADIUS, LOOKING_FORWARD, gps_poses

METRE = 180 / np.pi / EARTH_RADIUS
"""Degrees of latitude."""


def test_east_and_north_are_metres_and_yaw_grows_anticlockwise() -> None:
    here = np.array([49.0, 8.4, 115.0])
    east = here + np.array([0, 100 * METRE / np.cos(np.radians(49)), 0])
    north = here + np.array([100 * METRE, 0, 3])
    angles = np.array([[0, 0, 0], [0, 0, np.pi / 2], [0, 0.1, 0]])
    poses = gps_poses(np.stack([here, east, north]), angles, "a")
    assert np.allclose(poses[0], np.eye(4))
    assert np.allclose(poses[1, :3, 3], [100, 0, 0], atol=1e-6)
    assert np.allclose(poses[2, :3, 3], [0, 100, 3], atol=2e-3)  # the projection's scale grows to the north
    assert np.allclose(poses[1, :3, :3] @ [1, 0, 0], [0, 1, 0])  # faces north
    assert (poses[2, :3, :3] @ [1, 0, 0])[2] == pytest.approx(-np.sin(0.1))  # the nose is down
    # A camera that looks forward: forward is its z, down its y, right its x.
    camera = poses[1, :3, :3] @ LOOKING_FORWARD[:3, :3]
    assert np.allclose(camera @ np.eye(3), np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).T, atol=1e-12)


def test_roll_comes_first_then_pitch_then_yaw() -> None:
    roll, pitch, yaw = 0.2, -0.3, 1.1
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    found = gps_poses(np.array([[49.0, 8, 0]]), np.array([[roll, pitch, yaw]]), "a")[0, :3, :3]
    assert np.allclose(found, about_z @ about_y @ about_x)


def test_a_place_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"^row 1 of a has the latitude 115 and longitude 8; give degrees"):
        gps_poses(np.array([[115.0, 8, 0]]), np.zeros((1, 3)), "a")
    with pytest.raises(ValueError, match=r"^row 1 of a has numbers that are not finite$"):
        gps_poses(np.array([[np.nan, 8, 0]]), np.zeros((1, 3)), "a")

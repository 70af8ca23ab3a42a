"""Rays and projection are inverse; poses are rotations that look where they should."""

from __future__ import annotations

import numpy as np

from selftaught.data.sources.world.camera import Camera, Path, looking
from tests.data.sources.world.small_scenes import path_of


def camera() -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = looking(np.array([1.0, 2.0, -0.5]), roll=0.2)
    pose[:3, 3] = (1, 2, 3)
    return Camera(side=20, focal=25.0, pose=pose)


def test_points_along_rays_are_seen_where_the_rays_leave() -> None:
    one = camera()
    places, depth = one.pixels(), np.random.default_rng(0).uniform(0.5, 9, (400, 1))
    seen, found = one.project(one.centre + one.rays(places) * depth)
    assert np.allclose(seen, places)
    assert np.allclose(found, depth[:, 0])
    assert np.allclose(places[:2], [(0.5, 0.5), (1.5, 0.5)])
    assert np.allclose(one.project_direction(one.rays(places))[0], places)


def test_the_pose_and_the_intrinsics_project_as_the_camera_does() -> None:
    one = camera()
    points = one.centre + one.rays(one.pixels()) * 4.0
    local = (np.linalg.inv(one.pose) @ np.concatenate([points, np.ones((400, 1))], 1).T)[:3]
    pixels = one.intrinsics @ local
    assert np.allclose((pixels[:2] / pixels[2]).T, one.pixels())


def test_axes_are_right_down_and_forward() -> None:
    turn = looking(np.array([1.0, 0, 0]))  # along x, with z up: right is -y
    assert np.allclose(turn, np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
    rolled = looking(np.array([1.0, 0.3, -0.2]), roll=0.4)
    assert np.allclose(rolled.T @ rolled, np.eye(3))
    assert np.isclose(np.linalg.det(rolled), 1)


def test_a_path_looks_at_its_target() -> None:
    path = Path(
        focal=1.0,
        start=np.array([0.0, 0, 1]),
        velocity=np.array([0.0, 1, 0]),
        target=np.array([4.0, 0, 0]),
        target_velocity=np.array([0.0, 0, 0.5]),
        sway=np.array([0.05, 0, 0]),
        phase=1.0,
        roll=0.05,
    )
    for seconds in (0.0, 0.7, 2.0):
        one = path.at(seconds, 32)
        places, _ = one.project((path.target + path.target_velocity * seconds)[None])
        assert np.allclose(places, 16)


def test_a_path_that_stops_stays_where_it_begins() -> None:
    path = path_of(velocity=(0.3, 0.2, 0), sway=(0.1, 0.1, 0), roll=0.2)
    stopped = path.stopped()
    assert not np.allclose(path.at(0.7, 32).pose, path.at(0.0, 32).pose)
    for seconds in (0.0, 0.7, 2.0):
        assert np.array_equal(stopped.at(seconds, 32).pose, path.at(0.0, 32).pose)

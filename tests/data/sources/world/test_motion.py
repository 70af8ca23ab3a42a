"""Bodies fall as they should, frames can be asked for in any order, and rays meet what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.sources.world.motion import Simulation
from tests.data.sources.world.small_scenes import CENTRE, RADIUS, ball_on_ground


def test_a_body_falls_freely() -> None:
    simulation = Simulation(ball_on_ground(gravity=-9.81, velocity=(0, 0, 4)), 20.0)
    heights = np.array([simulation.state(frame).place[1, 2] for frame in range(6)])
    seconds = np.arange(6) / 20
    assert np.allclose(heights, CENTRE[2] + 4 * seconds - 9.81 / 2 * seconds**2, atol=0.02)
    assert simulation.moving(2).tolist() == [False, True, False]


def test_what_stands_still_does_not_move() -> None:
    assert not Simulation(ball_on_ground(), 20.0).moving(0).any()


def test_frames_are_the_same_in_any_order() -> None:
    scene = ball_on_ground(gravity=-9.81, velocity=(1, 0, 1))
    forward, back = Simulation(scene, 10.0), Simulation(scene, 10.0)
    rays = np.random.default_rng(0).normal((3, 0, 0), 1, (200, 3))
    origin = np.array([0, 0, 1.0])
    ahead = [forward.cast(frame, origin, rays) for frame in range(4)]
    behind = [back.cast(frame, origin, rays) for frame in (3, 2, 1, 0)][::-1]
    for one, other in zip(ahead, behind, strict=True):
        assert np.array_equal(one.shape, other.shape)
        assert np.array_equal(one.distance, other.distance)


def test_rays_meet_the_nearest_shape_within_reach() -> None:
    simulation = Simulation(ball_on_ground(), 10.0)
    origin = CENTRE - (2.5, 0, 0)
    rays = np.array([[2.0, 0, 0], [0, 0, -0.5], [0, 0, 1.0]])
    hits = simulation.cast(0, origin, rays)
    assert hits.shape.tolist() == [1, 0, -1]
    assert np.allclose(hits.distance[:2], [(2.5 - RADIUS) / 2, 0.7 / 0.5])
    assert np.allclose(hits.normal[:2], [[-1, 0, 0], [0, 0, 1]])
    assert simulation.cast(0, origin, rays, far=0.9).shape.tolist() == [-1, -1, -1]


def test_a_simulation_that_fails_stops_and_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulation = Simulation(ball_on_ground(velocity=(1e11, 0, 0)), 10.0)
    assert np.isfinite(simulation.state(2).place).all()
    assert np.array_equal(simulation.state(1).place, simulation.state(2).place)
    assert list(tmp_path.iterdir()) == []

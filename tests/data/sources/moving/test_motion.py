"""Factors and positions of moving objects."""

from __future__ import annotations

from collections import Counter

import numpy as np

from selftaught.data.sources.moving.motion import DIRECTIONS, RADIUS, Factors, draw_factors
from selftaught.data.sources.moving.settings import Motion, MovingSettings


def drawn(motion: Motion = "straight", count: int = 240, frames: int = 32) -> list[Factors]:
    settings = MovingSettings(data="digits", label="identity", motion=motion, frames=frames)
    return [draw_factors(settings, "train", number, 100) for number in range(count)]


def test_directions_and_speeds_are_balanced_and_what_moves_is_not_of_them() -> None:
    found = drawn(count=480)
    assert set(Counter((one.direction, one.speed) for one in found).values()) == {20}
    assert abs(np.corrcoef([one.image for one in found], [one.direction for one in found])[0, 1]) < 3 / 480**0.5
    assert all(one.image != one.other for one in found)


def test_a_straight_motion_keeps_its_velocity_and_stays_in_view() -> None:
    for one in drawn():
        steps = np.diff(one.centre, axis=0)
        assert np.allclose(steps, one.velocity)
        angle = np.degrees(np.arctan2(-one.velocity[0], one.velocity[1]))
        assert abs((angle - 360 / len(DIRECTIONS) * one.direction + 180) % 360 - 180) <= 10
        assert 0.9 * 0.4 <= np.hypot(*one.velocity) / 2**one.speed <= 1.1 * 0.4
        assert one.centre.min() > 64 * RADIUS / 2 - 1e-9 or one.speed == 2
        assert 0 < one.centre.min() < one.centre.max() < 64


def test_no_frame_tells_where_the_object_goes() -> None:
    """The middle of the path is uniform whatever the direction, and its ends are mirror images of each other."""
    found = drawn(count=1200)
    middle = np.stack([one.centre.mean(0) for one in found]) / 64 - 0.5
    velocity = np.stack([one.velocity for one in found])
    for axis in (0, 1):
        assert abs(np.corrcoef(middle[:, axis], velocity[:, axis])[0, 1]) < 3 / 1200**0.5


def test_bounces_keep_the_speed_and_the_object_inside() -> None:
    radius = 64 * RADIUS
    for one in drawn("bounce", frames=200):
        assert radius - 1e-9 <= one.centre.min() <= one.centre.max() <= 64 - radius + 1e-9
        step = np.abs(np.diff(one.centre, axis=0))
        assert np.all(step <= np.abs(one.velocity) + 1e-9)
        assert np.mean(np.isclose(step, np.abs(one.velocity)).all(1)) > 0.7  # all but the frames of a bounce


def test_what_falls_is_lower_later() -> None:
    found = drawn("fall", frames=120)
    assert all(64 * RADIUS - 1e-9 <= one.centre.min() <= one.centre.max() <= 64 * (1 - RADIUS) + 1e-9 for one in found)
    assert all(one.centre[-20:, 0].mean() > one.centre[:20, 0].mean() + 5 for one in found)
    assert all(np.diff(one.centre[:5, 0], 2).min() > 0 for one in found)  # faster and faster

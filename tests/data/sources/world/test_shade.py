"""Light falls off, is thrown into shadow, and never reaches what faces away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.motion import Hits, Simulation
from selftaught.data.sources.world.scene import Light
from selftaught.data.sources.world.shade import shade, sky_colour, to_pixels
from tests.data.sources.world.small_scenes import CENTRE, ball_on_ground, smooth_textures


def colours(light: Light, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of places on the ground."""
    simulation = Simulation(ball_on_ground(lights=[light]), 10.0)
    origin = np.array([0.0, 3.0, 3.0])
    count = len(points)
    hits = Hits(shape=np.zeros(count, np.int32), distance=np.ones(count), normal=np.tile((0.0, 0, 1), (count, 1)))
    return shade(simulation, 0, smooth_textures(), origin, points - origin, hits, width=0.01)


def test_a_ball_throws_a_shadow_of_its_size() -> None:
    under = CENTRE * (1, 1, 0)
    points = under + np.array([[0, 0, 0], [0.4, 0, 0], [0, -0.45, 0], [0.6, 0, 0], [0, -0.6, 0]])
    above = CENTRE + np.array([0, 0, 80.0])
    sun, dark = (Light(place=above, colour=np.full(3, level)) for level in (1.0, 0.0))
    gain = colours(sun, points) / colours(dark, points)
    assert np.allclose(gain[:3], 1)
    assert np.allclose(gain[3:], 1 + 1 / 0.8, rtol=1e-3)


def test_a_lamp_is_weaker_farther_away() -> None:
    points = np.array([[0, 2, 0], [2, 2, 0.0]])
    lamp = Light(place=np.array([0, 2, 2.0]), colour=np.ones(3), reach=2.0)
    dark = Light(place=lamp.place, colour=np.zeros(3), reach=2.0)
    added = colours(lamp, points) / colours(dark, points) - 1
    assert np.allclose(added[0] * 0.8, 1, rtol=1e-3)
    assert np.allclose(added[1] * 0.8, (4 / 8) * np.sqrt(0.5), rtol=1e-3)


def test_the_sky_goes_from_the_horizon_up() -> None:
    scene = ball_on_ground(sky=np.array([[0.8, 0.8, 0.8], [0.1, 0.2, 0.6]]))
    found = sky_colour(scene, smooth_textures(), np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    assert np.allclose(found, [[0.8, 0.8, 0.8], [0.1, 0.2, 0.6]], atol=1e-5)
    assert not sky_colour(ball_on_ground(), smooth_textures(), np.ones((2, 3))).any()


def test_pixels_rise_with_light_and_stay_within_bounds() -> None:
    found = to_pixels(np.linspace(-0.1, 40, 400, dtype=np.float32)[:, None])
    assert (np.diff(found[:, 0]) >= 0).all()
    assert (found.min(), found.max()) == (0, 1)

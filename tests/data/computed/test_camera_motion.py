"""The motion of a camera from exact flow, noisy flow, and with things that move on their own."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.computed.camera_motion import camera_motion, going_flow, places_of, turning_flow
from tests.data.computed.going import scene_depth, true_flow

FOCAL = 80.0
MOTIONS = [
    ((0.0, 0.0, 0.1), (0.0, 0.0, 0.0)),
    ((0.02, 0.0, 0.1), (0.0, 0.02, 0.0)),
    ((0.1, 0.02, 0.02), (0.01, -0.015, 0.01)),
    ((-0.06, 0.0, -0.08), (0.0, 0.01, -0.02)),
]


@pytest.mark.parametrize(("way", "turn"), MOTIONS)
def test_the_motion_of_exact_flow_is_found(way: tuple[float, float, float], turn: tuple[float, float, float]) -> None:
    found = camera_motion(true_flow(scene_depth(), FOCAL, way, turn), FOCAL)
    assert np.degrees(np.arccos(np.clip(found.direction @ way / np.linalg.norm(way), -1, 1))) < 4
    assert np.linalg.norm(found.turn - turn) < 0.002
    assert found.explained > 0.9


def test_the_parts_of_the_flow_are_those_of_small_motions() -> None:
    depth = scene_depth()
    places = places_of(72, 96, FOCAL)
    way, turn = np.array([1e-4, -2e-4, 3e-4]), np.array([2e-4, 1e-4, -3e-4])
    expected = FOCAL * (going_flow(places, way) / depth.reshape(-1, 1) + turning_flow(places, turn))
    flow = true_flow(depth, FOCAL, (1e-4, -2e-4, 3e-4), (2e-4, 1e-4, -3e-4)).reshape(-1, 2)
    assert np.abs(flow - expected).max() < 2e-3 * np.abs(flow).max()


def test_noise_and_something_that_moves_on_its_own_change_little() -> None:
    way, turn = (0.02, 0.0, 0.1), (0.0, 0.02, 0.0)
    flow = true_flow(scene_depth(), FOCAL, way, turn)
    flow = flow + np.random.default_rng(0).normal(0, 0.1, flow.shape).astype(np.float32)
    flow[50:70, 5:35] += (3, -2)
    found = camera_motion(flow, FOCAL)
    assert np.degrees(np.arccos(found.direction @ way / np.linalg.norm(way))) < 10
    assert np.linalg.norm(found.turn - turn) < 0.005

"""What moves otherwise than its background is salient, by the camera's homography or by a dominant motion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from selftaught.data.computed.regions.motion_saliency import deviation, dominant_saliency, residual_saliency
from tests.data.computed.moving import shifting, with_square


def box_mean(values: np.ndarray) -> np.ndarray:
    """Means over 5 x 5 pixels, mirrored at the edges, by loops."""
    edged = np.pad(values, 2, mode="symmetric")
    return np.array([[edged[y : y + 5, x : x + 5].mean() for x in range(values.shape[1])] for y in range(len(values))])


def test_deviation_of_a_frame_that_stands_still() -> None:
    flow = np.random.default_rng(0).normal(0, 0.4, (9, 12, 2)).astype(np.float32)
    found = deviation(flow)
    assert found is not None
    assert np.allclose(found, box_mean((flow**2).sum(2)), atol=1e-5)


def test_deviation_of_a_frame_that_is_translated() -> None:
    """Towards the left, where the angle jumps from pi to -pi: the last of 20 directions has most of the motion."""
    flow = np.zeros((9, 12, 2), np.float32)
    flow[..., 0], flow[..., 1] = -5, 0.2
    flow[::2, :, 1] = 0.01
    flow[3:6, 4:8] = (0, -3)
    found = deviation(flow)
    assert found is not None
    middle = math.pi - math.pi / 20
    apart = [math.remainder(math.atan2(v, u) - middle, 2 * math.pi) ** 2 for u, v in flow.reshape(-1, 2).tolist()]
    assert np.allclose(found, box_mean(np.reshape(apart, (9, 12))), atol=1e-4)
    assert found[4, 5] > 1  # a thing that moves a quarter of a turn off


def test_motion_of_all_directions_has_no_dominant_one() -> None:
    angle = np.random.default_rng(0).uniform(-math.pi, math.pi, (16, 16))
    assert deviation(np.stack([5 * np.cos(angle), 5 * np.sin(angle)], 2).astype(np.float32)) is None


@pytest.mark.parametrize("camera", [(0, 0), (2, 1)], ids=["still", "moving"])
def test_a_square_that_moves_is_the_most_salient(camera: tuple[int, int]) -> None:
    frames, truth = with_square(shifting(4, *camera), 3 + camera[0], -1)
    residual, dominant = residual_saliency(frames), dominant_saliency(frames)
    assert residual.shape == frames.shape[:3]
    assert residual.max() == 1
    assert residual[truth].mean() > 5 * residual[~truth].mean()
    assert dominant is not None
    assert dominant[truth].mean() > 2 * dominant[~truth].mean()

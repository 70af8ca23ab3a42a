"""The camera's motion is found whatever moves in the middle, and is a homography's."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.computed.regions.background import camera_flow


def homography_flow(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Flow (height, width, 2) in pixels of a homography of pixel coordinates from the middle, point by point."""
    flow = np.zeros((height, width, 2), np.float32)
    for row in range(height):
        for column in range(width):
            x, y = column - width / 2, row - height / 2
            a, b, c = matrix @ (x, y, 1)
            flow[row, column] = a / c - x, b / c - y
    return flow


def test_an_affine_flow_is_all_the_cameras_whatever_moves_in_the_middle() -> None:
    """Also where what moves is larger than what is left of the background."""
    y, x = np.mgrid[:48, :60].astype(np.float32)
    camera = np.stack([0.02 * x + 0.01 * y + 2, -0.03 * y - 1], axis=2)
    assert np.abs(camera_flow(camera) - camera).max() < 1e-3
    flow = camera.copy()
    flow[8:40, 8:52] += (3, -2)
    assert np.abs(camera_flow(flow) - camera).max() < 0.1
    assert np.abs(camera_flow(flow, "affine") - camera).max() < 0.1


def test_the_flow_of_a_homography_is_all_the_cameras() -> None:
    """That of a camera that turns about the vertical, over a frame that is wider than high."""
    matrix = np.array([[1.0, 0, 2.5], [0, 1.0, -1], [4e-4, -2e-4, 1]])
    camera = homography_flow(matrix, 48, 90)
    left = np.abs(camera_flow(camera) - camera).max()
    assert left < 0.03  # terms of second order in what the frame moves
    assert np.abs(camera_flow(camera, "affine") - camera).max() > 10 * left
    flow = camera.copy()
    flow[10:38, 20:70] += (3, -2)
    assert np.abs(camera_flow(flow) - camera).max() < 0.25


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4)])
def test_the_smallest_frames_move_as_a_whole(size: tuple[int, int]) -> None:
    assert np.abs(camera_flow(np.ones((*size, 2), np.float32)) - 1).max() < 1e-3

"""A camera that moves: flow against loops, crops and mirror images, motions against OpenCV's."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.ops.depth.camera import (
    composed,
    crop_intrinsics,
    inverse_motion,
    leads_inside,
    mirror_poses,
    motion_matrix,
    rigid_flow,
    usual_intrinsics,
)


def motions(count: int, size: float = 0.2) -> Tensor:
    return size * torch.randn(count, 6, generator=torch.Generator().manual_seed(1))


def depths(count: int, side: int) -> Tensor:
    return 1 + 3 * torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(2))


def test_motions_are_those_of_opencv() -> None:
    vectors = motions(5, 1.0)
    vectors[4, 3:] = 0
    for vector, found in zip(vectors, motion_matrix(vectors), strict=True):
        expected = np.eye(4)
        expected[:3, :3] = cv2.Rodrigues(vector[3:].double().numpy())[0]
        expected[:3, 3] = vector[:3].numpy()
        assert np.allclose(found.numpy(), expected, atol=1e-6)


def test_a_motion_can_be_learned_from_none() -> None:
    vector = torch.zeros(1, 6, requires_grad=True)
    motion_matrix(vector)[0, 2, 1].backward()
    assert vector.grad is not None
    assert vector.grad[0].tolist() == pytest.approx([0, 0, 0, 1, 0, 0])


def test_motions_are_composed_and_undone() -> None:
    first, second = motion_matrix(motions(6)).chunk(2)
    assert torch.allclose(composed(first, second), second @ first, atol=1e-6)
    assert torch.allclose(inverse_motion(first) @ first, torch.eye(4).expand(3, 4, 4), atol=1e-6)


def test_flow_against_loops() -> None:
    side = 6
    depth, motion = depths(2, side), motion_matrix(motions(2))
    k = torch.tensor([[7.0, 0.3, 2.5], [0.0, 8.0, 3.5], [0.0, 0.0, 1.0]]).expand(2, 3, 3)
    depth[1, 0, 3, 3] = 0.001  # behind the second camera
    motion[1, 2, 3] = -0.5
    flow, ahead = rigid_flow(depth, k, motion)
    for n in range(2):
        for row in range(side):
            for column in range(side):
                pixel = np.array([column + 0.5, row + 0.5, 1.0])
                point = float(depth[n, 0, row, column]) * np.linalg.solve(k[n].double().numpy(), pixel)
                seen = motion[n, :3, :3].double().numpy() @ point + motion[n, :3, 3].double().numpy()
                assert bool(ahead[n, 0, row, column]) == (seen[2] > 1e-3)
                if seen[2] > 1e-3:
                    place = k[n].double().numpy() @ (seen / seen[2])
                    assert flow[n, :, row, column].tolist() == pytest.approx((place - pixel)[:2], abs=1e-3)
    assert not bool(ahead[1, 0, 3, 3])


def test_a_camera_that_stands_still_moves_nothing() -> None:
    depth = depths(2, 8)
    flow, ahead = rigid_flow(depth, usual_intrinsics(depth, 60), motion_matrix(torch.zeros(2, 6)))
    assert float(flow.abs().max()) < 1e-5
    assert ahead.all()
    assert leads_inside(flow.round()).all()
    assert leads_inside(flow.round() + 1)[0, 0].sum() == 49


def test_the_usual_camera_sees_its_field_of_view() -> None:
    k = usual_intrinsics(torch.zeros(2, 3, 40, 60), 90)
    assert k.shape == (2, 3, 3)
    assert float(k[0, 1, 1]) == pytest.approx(20)
    assert k[0, :2, 2].tolist() == [30, 20]
    assert math.degrees(2 * math.atan(20 / float(k[0, 0, 0]))) == pytest.approx(90)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_flow_of_a_crop_is_the_flow_that_is_cut(is_mirrored: bool) -> None:
    """A crop of the inner half, twice as large, of which every second pixel would be one of the image."""
    depth, k = torch.full((1, 1, 16, 16), 2.0), usual_intrinsics(torch.zeros(1, 3, 16, 16), 60)
    motion = motion_matrix(motions(1))
    box = torch.tensor([[4.0, 12.0, 8.0, -8.0]] if is_mirrored else [[4.0, 4.0, 8.0, 8.0]])
    whole, _ = rigid_flow(depth, k, motion)
    cut, _ = rigid_flow(depth, crop_intrinsics(k, box, 16), mirror_poses(motion, torch.tensor([is_mirrored])))
    inner = 2 * torch.nn.functional.interpolate(whole[:, :, 4:12, 4:12], (16, 16), mode="bilinear")
    if is_mirrored:
        inner = inner.flip(3) * torch.tensor([-1.0, 1.0])[:, None, None]
    assert torch.allclose(cut[:, :, 2:-2, 2:-2], inner[:, :, 2:-2, 2:-2], atol=0.03)

"""Trajectories: snippets, errors against loops, scale, and going straight on."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.evaluation.metrics.trajectory import (
    chained,
    constant_velocity,
    from_first,
    mean_motion,
    snippets,
    trajectory_error,
    turning_error,
)


def walk(seed: int, frames: int = 9, *, turn: float = 0.1) -> Tensor:
    """A random trajectory (T, 4, 4)."""
    rng = np.random.default_rng(seed)
    steps = np.tile(np.eye(4), (frames - 1, 1, 1))
    for step in steps:
        step[:3, :3] = cv2.Rodrigues(turn * rng.normal(size=3))[0]
        step[:3, 3] = [0, 0, 1] + 0.2 * rng.normal(size=3)
    return chained(torch.from_numpy(steps))


def test_motions_of_a_camera_are_chained() -> None:
    poses = walk(1)
    steps = torch.linalg.inv(poses[:-1]) @ poses[1:]
    assert torch.allclose(chained(steps), from_first(poses), atol=1e-12)
    assert torch.allclose(from_first(poses), torch.linalg.inv(poses[0]) @ poses, atol=1e-12)


def test_snippets_are_all_stretches_of_five_frames() -> None:
    poses = walk(1)
    assert snippets(poses).shape == (5, 5, 4, 4)
    assert torch.equal(snippets(poses)[3], poses[3:8])
    assert len(snippets(poses[:4])) == 0


def test_errors_against_loops() -> None:
    found, truth = snippets(walk(1)), snippets(walk(2))
    errors, turns = trajectory_error(found, truth), turning_error(found, truth)
    for n in range(5):
        a, b = (torch.linalg.inv(one[n, 0]) @ one[n] for one in (found, truth))
        places = [(a[t, :3, 3].numpy(), b[t, :3, 3].numpy()) for t in range(5)]
        scale = sum(p @ q for p, q in places) / sum(p @ p for p, _ in places)
        expected = math.sqrt(np.mean([((scale * p - q) ** 2).sum() for p, q in places]))
        assert float(errors[n]) == pytest.approx(expected)
        angles = [np.linalg.norm(cv2.Rodrigues((a[t, :3, :3].T @ b[t, :3, :3]).numpy())[0]) for t in range(1, 5)]
        assert float(turns[n]) == pytest.approx(np.mean(angles))


def test_neither_the_scale_nor_the_place_of_the_whole_counts() -> None:
    truth = snippets(walk(2))
    other = truth.clone()
    other[..., :3, 3] *= 0.01
    moved = walk(3)[4] @ other
    assert float(trajectory_error(moved, truth).max()) < 1e-9
    assert float(turning_error(moved, truth).max()) < 1e-7


def test_the_scale_may_be_negative() -> None:
    truth = snippets(walk(2, turn=0.0))
    back = truth.clone()
    back[..., :3, 3] *= -1
    assert float(trajectory_error(back, truth).max()) < 1e-9


def test_a_camera_that_goes_straight_on_is_foreseen_and_one_that_turns_is_not() -> None:
    straight = snippets(walk(1, turn=0.0))
    straight[..., :3, 3] = torch.arange(5)[:, None] * torch.tensor([0.0, 0.3, 2.0])
    turning = snippets(walk(1, turn=0.3))
    for foresee in (mean_motion, constant_velocity):
        assert float(trajectory_error(foresee(straight), straight).max()) < 1e-9
        assert float(trajectory_error(foresee(turning), turning).mean()) > 0.1


def test_constant_velocity_goes_on_around_a_curve_and_the_mean_motion_does_not() -> None:
    step = torch.eye(4, dtype=torch.double)
    step[:3, :3] = torch.from_numpy(cv2.Rodrigues(np.array([0, 0.2, 0]))[0])
    step[2, 3] = 1
    curve = snippets(chained(step.expand(8, 4, 4)))
    assert float(trajectory_error(constant_velocity(curve), curve).max()) < 1e-9
    assert float(turning_error(constant_velocity(curve), curve).max()) < 1e-7
    assert float(trajectory_error(mean_motion(curve), curve).max()) > 0.1
    assert float(turning_error(mean_motion(curve), curve)[0]) == pytest.approx(0.5)

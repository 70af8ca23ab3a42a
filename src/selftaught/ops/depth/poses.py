"""Poses of a camera along its way, and how far a trajectory is from the true one.

Poses (..., T, 4, 4) lead from the axes of the camera (right, down, forwards) to those of the world.
"""

from __future__ import annotations

import torch
from torch import Tensor


def from_first(poses: Tensor) -> Tensor:
    """Poses (..., T, 4, 4) in the axes of the first camera of each."""
    turn = poses[..., :1, :3, :3]
    relative = torch.zeros_like(poses)
    relative[..., :3, :3] = turn.mT @ poses[..., :3, :3]
    relative[..., :3, 3:] = turn.mT @ (poses[..., :3, 3:] - poses[..., :1, :3, 3:])
    relative[..., 3, 3] = 1
    return relative


def chained(steps: Tensor) -> Tensor:
    """Poses (..., T + 1, 4, 4) from motions (..., T, 4, 4), each the pose of a camera in the axes of the one before."""
    pose = torch.eye(4, dtype=steps.dtype, device=steps.device).expand(*steps.shape[:-3], 4, 4)
    found = [pose]
    for step in steps.unbind(-3):
        found.append(pose := pose @ step)
    return torch.stack(found, -3)


def trajectory_error(poses: Tensor, truth: Tensor) -> Tensor:
    """Absolute trajectory error of snippets (N, T, 4, 4) both -> (N,), metres.

    Root of the mean squared distance of the places of the camera, after the first cameras are put onto each other and
    the predicted places are scaled by the factor that fits best (least squares; Zhou et al., CVPR 2017, section 4.2).
    As in their code the factor may be negative: the opposite way is as good. Their code divides the root of the sum of
    squares by T; published errors are therefore smaller than these, by the square root of T.
    """
    found, wanted = scaled_places(poses, truth)
    return (found - wanted).square().sum(2).mean(1).sqrt()


def scaled_places(poses: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Places (N, T, 3) of the camera along snippets (N, T, 4, 4), from the first: scaled predicted ones, true ones."""
    found, wanted = (from_first(one.double())[..., :3, 3] for one in (poses, truth))
    scale = (found * wanted).sum((1, 2)) / found.square().sum((1, 2)).clamp(min=1e-12)
    return scale[:, None, None] * found, wanted


def mean_motion(truth: Tensor) -> Tensor:
    """Snippets (N, T, 4, 4) in which the camera goes straight on by equal steps, without a turn.

    The direction is that of the mean step of all of `truth` (N, T, 4, 4), in the axes of each first camera ("mean
    odometry" of Zhou et al.): what is known of a camera without a look at the images. Steps are of 1 m, as each
    snippet is scaled anyway.
    """
    places = from_first(truth.double())[..., :3, 3]
    ahead = (places[:, 1:] - places[:, :-1]).mean((0, 1))
    ahead = ahead / ahead.norm().clamp(min=1e-12)
    found = torch.eye(4, dtype=torch.double, device=truth.device).repeat(*truth.shape[:2], 1, 1)
    found[..., :3, 3] = torch.arange(truth.shape[1], device=truth.device)[:, None] * ahead
    return found


def constant_velocity(truth: Tensor) -> Tensor:
    """Snippets (N, T, 4, 4) whose first step, the true one with its turn, goes on and on.

    It knows the truth of two of the frames, which a network does not.
    """
    step = from_first(truth.double())[:, 1]
    return chained(step[:, None].expand(-1, truth.shape[1] - 1, -1, -1))

"""Error of a trajectory of the camera over snippets of a few frames, as of SfMLearner (Zhou et al., CVPR 2017).

Poses (..., T, 4, 4) lead from the axes of the camera (right, down, forwards) to those of the world. Each snippet begins
at its first camera, and one scale of the translations is chosen for it, as a single camera does not see it.
"""

from __future__ import annotations

import torch
from torch import Tensor

SNIPPET = 5
"""Frames."""


def snippets(poses: Tensor, frames: int = SNIPPET) -> Tensor:
    """All snippets of one trajectory: (T, 4, 4) -> (T - frames + 1, frames, 4, 4); none where it is shorter."""
    if len(poses) < frames:
        return poses.new_zeros(0, frames, 4, 4)
    return poses.unfold(0, frames, 1).movedim(-1, 1).contiguous()


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
    the predicted places are scaled by the factor that fits best (least squares; Zhou et al., section 4.2).
    """
    found, wanted = (from_first(one.double())[..., :3, 3] for one in (poses, truth))
    scale = (found * wanted).sum((1, 2)) / found.square().sum((1, 2)).clamp(min=1e-12)
    return (scale[:, None, None] * found - wanted).square().sum(2).mean(1).sqrt()


def turning_error(poses: Tensor, truth: Tensor) -> Tensor:
    """Mean angle, radians, by which the cameras of snippets (N, T, 4, 4) after the first are turned wrongly -> (N,)."""
    found, wanted = (from_first(one.double())[:, 1:, :3, :3] for one in (poses, truth))
    difference = found.mT @ wanted
    cosine = (difference.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    # The arc cosine is not exact near 1: small angles come from the distance of the matrices, 2 sqrt(2) sin(angle / 2).
    sine = (difference - torch.eye(3, dtype=torch.double, device=poses.device)).flatten(2).norm(dim=2) / 8**0.5
    return torch.where(cosine > 0, 2 * sine.clamp(max=1).asin(), cosine.clamp(-1, 1).acos()).mean(1)


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

"""Error of a trajectory of the camera over snippets of a few frames, as of SfMLearner (Zhou et al., CVPR 2017).

Poses (..., T, 4, 4) lead from the axes of the camera (right, down, forwards) to those of the world. Each snippet begins
at its first camera, and one scale of the translations is chosen for it, as a single camera does not see it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.ops.depth.poses import chained as chained
from selftaught.ops.depth.poses import constant_velocity as constant_velocity
from selftaught.ops.depth.poses import from_first as from_first
from selftaught.ops.depth.poses import mean_motion as mean_motion
from selftaught.ops.depth.poses import trajectory_error as trajectory_error

SNIPPET = 5
"""Frames."""


def snippets(poses: Tensor, frames: int = SNIPPET) -> Tensor:
    """All snippets of one trajectory: (T, 4, 4) -> (T - frames + 1, frames, 4, 4); none where it is shorter."""
    if len(poses) < frames:
        return poses.new_zeros(0, frames, 4, 4)
    return poses.unfold(0, frames, 1).movedim(-1, 1).contiguous()


def turning_error(poses: Tensor, truth: Tensor) -> Tensor:
    """Mean angle, radians, by which the cameras of snippets (N, T, 4, 4) after the first are turned wrongly -> (N,)."""
    found, wanted = (from_first(one.double())[:, 1:, :3, :3] for one in (poses, truth))
    difference = found.mT @ wanted
    cosine = (difference.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    # The arc cosine is not exact near 1: small angles come from the distance of the matrices, 2 sqrt(2) sin(angle / 2).
    sine = (difference - torch.eye(3, dtype=torch.double, device=poses.device)).flatten(2).norm(dim=2) / 8**0.5
    return torch.where(cosine > 0, 2 * sine.clamp(max=1).asin(), cosine.clamp(-1, 1).acos()).mean(1)

"""Clips of a camera whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import rng


def poses(count: int, frames: int = 4, seed: int = 0) -> Tensor:
    """Random walks (N, T, 4, 4)."""
    steps = torch.randn((count, frames, 6), generator=rng(seed)).cumsum(1) * 0.1
    out = torch.eye(4).repeat(count, frames, 1, 1)
    for n, t in np.ndindex(count, frames):
        out[n, t, :3, :3] = torch.from_numpy(cv2.Rodrigues(steps[n, t, 3:].double().numpy())[0])
        out[n, t, :3, 3] = steps[n, t, :3]
    return out


def with_poses(video: Tensor, pose: Tensor) -> Batch:
    return Batch(index=torch.arange(len(video)), inputs={"video": video, "pose": pose})


def walks(count: int, seed: int) -> Batch:
    """Windows that go to the right over a texture by 1 pixel a step, or to the left; the pose says so."""
    texture = still_clips(count, frames=1, side=48, seed=seed)[:, 0]
    way = torch.randint(2, (count,), generator=rng(seed)) * 2 - 1
    pose = torch.eye(4).repeat(count, 4, 1, 1)
    pose[:, :, 0, 3] = way[:, None] * torch.arange(4)
    rows = [
        torch.stack([one[:, 8:40, 12 + 3 * w * t :][:, :, :24] for t in range(4)])
        for one, w in zip(texture, way.tolist(), strict=True)
    ]
    return with_poses(torch.stack(rows)[:, :, :, 4:28], pose)

"""Clips of a camera that goes past a textured scene of two depths, with its poses and intrinsics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.data.batch import Batch
from tests.tasks.clips import rng

FOCAL = 32.0


def walks(count: int, seed: int, *, frames: int = 3, side: int = 32) -> Batch:
    """Clips (N, T, 3, side, side) of a far bright ground and a near dark square before it.

    The camera goes to the right or to the left, so that the ground moves by one pixel a frame and the square by three.
    """
    rand = rng(seed)
    ground = 120 + 130 * _texture(count, side + 32, rand)
    square = 110 * _texture(count, side + 32, rand)
    ways = (torch.randint(2, (count,), generator=rand) * 2 - 1).tolist()
    corners = torch.randint(6, side - 18, (count, 2), generator=rand).tolist()
    video = torch.zeros(count, frames, 3, side, side)
    depth = torch.full((count, side, side), 3.0)
    for n, (way, (top, left)) in enumerate(zip(ways, corners, strict=True)):
        for t in range(frames):
            far, near = way * (t - frames // 2), 3 * way * (t - frames // 2)
            video[n, t] = ground[n, :, 16 : 16 + side, 16 + far : 16 + far + side]
            place = (slice(top, top + 12), slice(left - near, left - near + 12))
            video[n, t][(slice(None), *place)] = square[n, :, 16:28, 16:28]
        depth[n, top : top + 12, left : left + 12] = 1.0
    pose = torch.eye(4).repeat(count, frames, 1, 1)
    pose[:, :, 0, 3] = 3 / FOCAL * torch.tensor(ways)[:, None] * torch.arange(frames)
    k = torch.tensor([[FOCAL, 0, side / 2], [0, FOCAL, side / 2], [0, 0, 1]]).expand(count, frames, 3, 3)
    inputs = {"video": video.byte(), "pose": pose, "intrinsics": k, "true_depth": depth}
    return Batch(index=torch.arange(count), inputs=inputs)


def _texture(count: int, side: int, rand: torch.Generator) -> Tensor:
    coarse = torch.rand(count, 3, side // 4, side // 4, generator=rand)
    return F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)

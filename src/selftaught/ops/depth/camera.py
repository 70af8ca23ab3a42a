"""A pinhole camera: intrinsics of crops, what is seen at which depth, and how a motion of the camera moves it.

Axes of a camera are right, down and forwards. Intrinsics (N, 3, 3) lead to pixels of square images, (0.5, 0.5) being
the middle of the first. A motion (N, 4, 4) leads from the axes of one camera to those of another. All is computed
element by element, as matrix products may be of low precision.
"""

from __future__ import annotations

from math import radians, tan

import torch
from torch import Tensor


def usual_intrinsics(like: Tensor, fov: float) -> Tensor:
    """Intrinsics (N, 3, 3) of images (N, ..., H, W) of a camera that sees `fov` degrees along their short side."""
    height, width = like.shape[-2:]
    focal = min(height, width) / 2 / tan(radians(fov) / 2)
    found = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], device=like.device)
    return found.expand(len(like), 3, 3)


def crop_intrinsics(intrinsics: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Intrinsics of boxes (N, 4), as `ops.crop.crop_resize` cuts and resizes them to `size` pixels.

    Where a box is mirrored, they are those of the mirrored world, in which x is the other way round.
    """
    top, left, height, width = boxes.unbind(1)
    down, across = size / height, size / width
    found = torch.zeros_like(intrinsics)
    found[:, 0, 0] = intrinsics[:, 0, 0] * across.abs()
    found[:, 0, 1] = intrinsics[:, 0, 1] * across
    found[:, 0, 2] = (intrinsics[:, 0, 2] - left) * across
    found[:, 1, 1] = intrinsics[:, 1, 1] * down
    found[:, 1, 2] = (intrinsics[:, 1, 2] - top) * down
    found[:, 2, 2] = 1
    return found


def mirror_poses(poses: Tensor, is_mirrored: Tensor) -> Tensor:
    """Poses (N, ..., 4, 4) in the mirrored world, in which x is the other way round, where `is_mirrored` (N,)."""
    signs = poses.new_tensor([-1.0, 1.0, 1.0, 1.0])
    return torch.where(is_mirrored.view(-1, *[1] * (poses.dim() - 1)), poses * signs * signs[:, None], poses)


def rays(intrinsics: Tensor, side: int) -> Tensor:
    """What is seen at depth 1 through the middle of each pixel of square images: (N, 3, 3) -> (N, 3, side, side)."""
    steps = torch.arange(side, device=intrinsics.device, dtype=torch.float32) + 0.5
    k = intrinsics.float()[:, :, :, None, None]
    y = (steps[:, None] - k[:, 1, 2]) / k[:, 1, 1]
    x = (steps - k[:, 0, 2] - k[:, 0, 1] * y) / k[:, 0, 0]
    x, y = torch.broadcast_tensors(x, y)
    return torch.stack([x, y, torch.ones_like(x)], 1)


def moved_points(points: Tensor, motion: Tensor) -> Tensor:
    """Points (N, 3, H, W) in the axes of one camera -> those in the axes of the other."""
    m = motion[:, :3, :, None, None]
    return (m[:, :, :3] * points[:, None]).sum(2) + m[:, :, 3]


def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Points (N, 3, H, W) -> pixels (N, 2, H, W), and whether they are before the camera (N, 1, H, W)."""
    k = intrinsics.float()[:, :, :, None, None]
    x, y, depth = points.unbind(1)
    ahead = depth > 1e-3
    depth = depth.clamp(min=1e-3)
    x, y = x / depth, y / depth
    pixels = torch.stack([k[:, 0, 0] * x + k[:, 0, 1] * y + k[:, 0, 2], k[:, 1, 1] * y + k[:, 1, 2]], 1)
    return pixels, ahead[:, None]


def rigid_flow(depth: Tensor, intrinsics: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Flow that a motion of the camera gives to a still world.

    Args:
        depth: (N, 1, S, S) of the first image, float32.
        intrinsics: (N, 3, 3) of both.
        motion: (N, 4, 4) from the axes of the first camera to those of the second.

    Returns:
        (N, 2, S, S) in pixels, (x, y); and whether (N, 1, S, S) what a pixel shows is before the second camera.
    """
    side = depth.shape[-1]
    points = moved_points(depth.float() * rays(intrinsics, side), motion.float())
    pixels, ahead = project(points, intrinsics)
    steps = torch.arange(side, device=depth.device, dtype=torch.float32) + 0.5
    here = torch.stack(torch.broadcast_tensors(steps, steps[:, None]))
    return pixels - here, ahead


def leads_inside(flow: Tensor) -> Tensor:
    """Where (N, 1, H, W) bool a flow (N, 2, H, W) in pixels does not lead out of the image."""
    h, w = flow.shape[-2:]
    x = flow[:, 0] + torch.arange(w, device=flow.device)
    y = flow[:, 1] + torch.arange(h, device=flow.device)[:, None]
    return ((x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1))[:, None]


def motion_matrix(vector: Tensor) -> Tensor:
    """Translation and rotation vector (..., 6) -> motion (..., 4, 4).

    The rotation is about the axis of the vector, by its length in radians (Rodrigues).
    """
    vector = vector.float()
    moved, turn = vector[..., :3], vector[..., 3:]
    squared = turn.square().sum(-1)[..., None, None]
    angle = (squared + 1e-12).sqrt()
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    # The square of the matrix of the cross product, element by element.
    twice = turn[..., :, None] * turn[..., None, :] - squared * torch.eye(3, device=vector.device)
    half = (angle / 2).sin() / (angle / 2)
    rotation = torch.eye(3, device=vector.device) + angle.sin() / angle * cross + 0.5 * half.square() * twice
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], device=vector.device).expand(*vector.shape[:-1], 1, 4)
    return torch.cat([torch.cat([rotation, moved[..., None]], -1), last], -2)


def composed(first: Tensor, second: Tensor) -> Tensor:
    """Motions (..., 4, 4): `first`, then `second`."""
    return (second[..., :, :, None] * first[..., None, :, :]).sum(-2)


def inverse_motion(motion: Tensor) -> Tensor:
    """The motion back: (..., 4, 4) -> (..., 4, 4)."""
    turn = motion[..., :3, :3].mT
    moved = -(turn * motion[..., None, :3, 3]).sum(-1, keepdim=True)
    return torch.cat([torch.cat([turn, moved], -1), motion[..., 3:, :]], -2)

"""Geometric warps of a batch, one 3 x 3 matrix for each image, and the matrices themselves.

Places are (x, y) = (right, down) from the centre of an image, in halves of its short side: a square reaches from -1
to 1. A matrix says where a pixel of the result is read, so it is the inverse of what happens to the content.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.ops.crop import axis_weights, resample

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
"""Of a square, clockwise."""


def shrink(images: Tensor, side: int) -> Tensor:
    """Whole images (N, C, H, W) uint8 -> float32 in [0, 1], antialiased to a short side of about `side` pixels.

    Images that are hardly larger are not resized.
    """
    n, _, h, w = images.shape
    if min(h, w) <= 1.25 * side:
        return images.float().div_(255)
    rows, columns = (round(length * side / min(h, w)) for length in (h, w))
    start = torch.zeros(n, device=images.device)
    down = axis_weights(start, torch.full_like(start, h), h, rows, 1 / 255)
    return resample(images, down, axis_weights(start, torch.full_like(start, w), w, columns))


def warp(images: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Read images where the matrices say, bilinear; beyond its edges an image is mirrored.

    Args:
        images: (N, C, H, W) float.
        matrix: (N, 3, 3), from places of the result to places of the image, both as above.
        size: side of the result in pixels.

    Returns:
        (N, C, size, size) float32.
    """
    h, w = images.shape[-2:]
    step = (torch.arange(size, device=images.device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(step, step, indexing="ij")
    with torch.autocast(images.device.type, enabled=False):  # places need more digits than bf16 has
        places = matrix.float() @ torch.stack([x.flatten(), y.flatten(), torch.ones_like(x.flatten())])
    # Only places behind the horizon of a perspective view have a divisor that small.
    read = places[:, :2] / places[:, 2:].clamp(min=0.05)
    unit = read.new_tensor([min(h, w) / w, min(h, w) / h])
    grid = (read.transpose(1, 2) * unit).view(-1, size, size, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def affine(angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor) -> Tensor:
    """What happens to the content, as (N, 3, 3): scaled, sheared, rotated, moved, in this order.

    Args:
        angle: (N,) radians, clockwise.
        scale: (N,) above 1 enlarges.
        shear: (N,) radians by which the y axis is tilted, its length kept.
        shift: (N, 2) right and down.
    """
    cos, sin = angle.cos() * scale, angle.sin() * scale
    tilted_cos, tilted_sin = (angle + shear).cos() * scale, (angle + shear).sin() * scale
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [cos, -tilted_sin, shift[:, 0], sin, tilted_cos, shift[:, 1], zero, zero, one]
    return torch.stack(rows, 1).view(-1, 3, 3)


def homography(source: Tensor, target: Tensor) -> Tensor:
    """The projective map of four points onto four others: both (N, 4, 2) -> (N, 3, 3), 1 in the last place."""
    (x, y), (u, v) = source.unbind(2), target.unbind(2)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    across = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 2)
    down = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 2)
    solved = torch.linalg.solve(torch.cat([across, down], 1), torch.cat([u, v], 1))
    return torch.cat([solved, one[:, :1]], 1).view(-1, 3, 3)


def rotate_quarter(images: Tensor, turns: int) -> Tensor:
    """Rotate (..., H, W) by `turns` x 90 degrees counter-clockwise."""
    return torch.rot90(images, turns % 4, (-2, -1))


def all_rotations(images: Tensor, turns: list[int]) -> Tensor:
    """Every rotation of every image: (N, C, S, S) -> (len(turns) * N, C, S, S), rotation-major."""
    return torch.cat([rotate_quarter(images, k) for k in turns])

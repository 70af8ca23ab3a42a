"""Pairs of frames of a video and how the camera moved from one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import normalise
from selftaught.ops.frames import gather_frames, square_boxes

AXES: Mapping[str, tuple[str, ...]] = {
    "planar": ("x", "z", "yaw"),
    "rotation": ("yaw", "pitch", "roll"),
    "all": ("x", "y", "z", "yaw", "pitch", "roll"),
}
"""Setting -> axes of a motion: to the right, down and forwards in metres; turns in radians."""
MIRRORED = (-1.0, 1.0, 1.0, -1.0, 1.0, -1.0)
"""Sign of each of all axes in a mirror image."""


def motion_between(first: Tensor, second: Tensor) -> Tensor:
    """Motion of the camera from one pose to another, in the axes of the first: (N, 4, 4) twice -> (N, 6).

    Translation to the right, down and forwards; then yaw, pitch and roll, radians: the turn to the right about the axis
    down, then up about the axis to the right, then clockwise about the axis forwards.
    """
    turn = first[:, :3, :3]
    moved = (turn * (second[:, :3, 3] - first[:, :3, 3])[:, :, None]).sum(1)
    # Element by element, as matrix products may be of low precision.
    turned = (turn[:, :, :, None] * second[:, :3, None, :3]).sum(1)
    yaw = torch.atan2(turned[:, 0, 2], turned[:, 2, 2])
    pitch = torch.asin((-turned[:, 1, 2]).clamp(-1, 1))
    roll = torch.atan2(turned[:, 1, 0], turned[:, 1, 1])
    return torch.cat([moved, torch.stack([yaw, pitch, roll], 1)], 1)


def along(motion: Tensor, axes: Sequence[str]) -> Tensor:
    """Of motions (N, 6) those along some axes (N, A)."""
    return motion[:, [AXES["all"].index(name) for name in axes]]


def choose_pairs(count: int, gap: int, rng: Generator) -> Tensor:
    """Numbers (N, 2) of two frames of clips of `gap` + 1, 1 to `gap` apart; half of the pairs go back in time."""
    drawn = uniform((3, count), 0, 1, rng)
    apart = 1 + (drawn[0] * gap).long().clamp(max=gap - 1)
    free = gap + 1 - apart
    start = torch.minimum((drawn[1] * free).long(), free - 1)
    pair = torch.stack([start, start + apart], 1)
    return torch.where(drawn[2, :, None] < 0.5, pair, pair.flip(1))


def draw_pairs(
    video: Tensor, pose: Tensor, size: int, rng: Generator, *, least_side: float, degrade: float
) -> tuple[Tensor, Tensor]:
    """Two frames of each video in random order, cut alike, and the motion from the first to the second.

    Both are of one window between the bars, mirrored at random together with their motion, each with blur and noise of
    its own.

    Args:
        video: (N, T, 3, H, W) uint8.
        pose: (N, T, 4, 4).
        size: S, side of the frames in pixels.
        rng: for everything that is drawn.
        least_side: of a window, as a share of the short side.
        degrade: strength of blur and noise.

    Returns:
        Frames (2 N, 3, S, S), normalised, first all first ones; and motions (N, 6).
    """
    numbers = choose_pairs(len(video), video.shape[1] - 1, rng)
    boxes = square_boxes(inner_areas(video, size), rng, least_side=least_side)
    frames = gather_frames(video, numbers).transpose(0, 1).flatten(0, 1)[:, None]
    cut = degraded_crop(frames, boxes.repeat(2, 1), size, rng, strength=degrade)[:, 0]
    first, second = gather_frames(pose, numbers).unbind(1)
    signs = torch.where(boxes[:, 3:] < 0, boxes.new_tensor(MIRRORED), 1.0)
    return normalise(cut), motion_between(first, second) * signs


def words_of(motion: Tensor, axes: Sequence[str]) -> str:
    """One motion (A,) for people."""
    return ", ".join(
        f"{name} {value:.3f} m" if len(name) == 1 else f"{name} {180 / pi * value:.1f} degrees"
        for name, value in zip(axes, motion.tolist(), strict=True)
    )

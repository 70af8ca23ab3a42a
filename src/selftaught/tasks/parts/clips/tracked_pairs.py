"""Pairs of patches at both ends of a track: something that moves, seen twice (Wang, Gupta, ICCV 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.clips.tracking import coarse_flow, moving_squares, track
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import colour_jitter
from selftaught.tasks.parts.clips.short_clips import for_encoder, short_clips


@dataclass
class TrackedPairs:
    """What a clip shows of one thing.

    Attributes:
        views: (2 N, 3, S, S) normalised, or short clips (2 N, 3, L, S, S): of each clip the patch of the first frame
            and of the last.
        squares: (N, T, 4) top, left and twice the side of the patch in each frame, as shares of height and width.
        moves: (N,) float, 1 where the patch moves enough to be used, else 0.
        video: (N, T, 3, H, W) uint8, the clips in which it was tracked.
    """

    views: Tensor
    squares: Tensor
    moves: Tensor
    video: Tensor


def tracked_pairs(
    video: Tensor,
    size: int,
    rng: Generator,
    *,
    share: float,
    least_motion: float,
    clip: int,
    colour: float,
    degrade: float,
) -> TrackedPairs:
    """Find what moves at the start of each clip (N, T, 3, H, W) uint8, and track it to the end.

    Each patch of a pair is mirrored by itself, and has colours, blur and noise of its own.

    Args:
        video: of T frames, more than `clip`.
        size: side S of the patches in pixels.
        rng: for all that is random.
        share: side of a patch as a share of the frame's short side.
        least_motion: sides of the patch a frame, from which on it moves enough.
        clip: frames of the short clips that stand for the first and the last frame.
        colour: strength of the change of colours, in [0, 1]; at 1, 40 % of the patches become grey.
        degrade: strength of blur and noise, in [0, 1].
    """
    n, frames = video.shape[:2]
    areas, motion = inner_areas(video, size), coarse_flow(video)
    squares, speed = moving_squares(motion, areas, share, rng)
    ends = torch.tensor([0, frames - clip], device=video.device)
    path = track(motion, squares, areas)
    is_mirrored = uniform((n, 2), 0, 1, rng) < 0.5
    top, left, side, _ = path[:, ends].unbind(2)
    boxes = torch.stack(
        [top, torch.where(is_mirrored, left + side, left), side, torch.where(is_mirrored, -side, side)], 2
    )
    chosen = short_clips(video, ends.expand(n, -1), clip).flatten(0, 1)
    cut = degraded_crop(chosen, boxes.flatten(0, 1), size, rng, strength=degrade)
    # Frames of a short clip, one below the other, change colour alike.
    tall = cut.transpose(1, 2).flatten(2, 3)
    strength = 0.8 * colour
    jittered = colour_jitter(tall, rng, strength, strength, strength, 0.2 * colour, grey=0.4 * colour)
    views = jittered.unflatten(2, (clip, size)).transpose(1, 2).unflatten(0, (n, 2))
    unit = path.new_tensor([video.shape[-2], video.shape[-1]] * 2)
    return TrackedPairs(for_encoder(views), path / unit, (speed >= least_motion).float(), video)


def shown_track(video: Tensor, squares: Tensor) -> Tensor:
    """One clip of `TrackedPairs` for people, (T, 3, H, W) in [0, 1], with a white line around the patch."""
    clip, squares = video.float().cpu() / 255, squares.float().cpu()
    height, width = clip.shape[-2:]
    line = max(1, round(height / 64))
    frame = torch.zeros(len(clip), height, width, dtype=torch.bool)
    for inner in (0, line):
        rows, columns = (
            (torch.arange(length) >= start[:, None] + inner) & (torch.arange(length) < end[:, None] - inner)
            for length, start, end in (
                (height, height * squares[:, 0], height * (squares[:, 0] + squares[:, 2])),
                (width, width * squares[:, 1], width * (squares[:, 1] + squares[:, 3])),
            )
        )
        frame ^= rows[:, :, None] & columns[:, None]
    return torch.where(frame[:, None], 1.0, clip)

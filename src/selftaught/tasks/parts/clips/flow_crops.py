"""Optical flow as an input or a target of a task, cut together with the frames that it belongs to."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from selftaught.ops.clip_images import FLOW_BOUND, FLOW_UNIT
from selftaught.ops.clips.windows import degraded_crop
from selftaught.ops.colour import normalise
from selftaught.ops.crop import random_boxes
from selftaught.ops.flow import crop_flow


def crop_with_flow(
    frames: Tensor, flow: Tensor, size: int, rng: Generator, *, side: int, min_scale: float, degrade: float
) -> tuple[Tensor, Tensor]:
    """One random square of a frame and of its flow, both mirrored at random.

    Args:
        frames: (N, 1, 3, H, W) uint8.
        flow: (N, 1, 2, h, w) in pixels of the frame.
        size: S, side of the crop of the frame in pixels.
        rng: for everything that is drawn.
        side: M, side of the crop of the flow.
        min_scale: smallest share of the frame's area.
        degrade: strength of blur and noise of the frame.

    Returns:
        Images (N, 3, S, S), normalised, and flow (N, 2, M, M) in pixels of the crop of S pixels.
    """
    height, width = frames.shape[-2:]
    boxes = random_boxes(len(frames), height, width, rng, scale=(min_scale, 1.0), ratio=(1, 1))
    images = degraded_crop(frames, boxes, size, rng, strength=degrade)[:, 0]
    cut = crop_flow(flow, boxes, size, frame=(height, width), side=side)[:, 0]
    return normalise(images), cut


def flow_stacks(flow: Tensor, boxes: Tensor, size: int, *, frame: tuple[int, int]) -> Tensor:
    """Flow as networks see it: (N, F, 2, h, w) cut by boxes (N, 4) -> (N, 2 F, S, S), x and y of each field in turn.

    Cut at a share of the frame's side, without its mean, which is mostly the camera's motion, and scaled to the size of
    normalised images (Simonyan & Zisserman, NeurIPS 2014).
    """
    cut = (crop_flow(flow, boxes, size, frame=frame) / (FLOW_BOUND * size)).clamp(-1, 1)
    return FLOW_UNIT * (cut - cut.mean((3, 4), keepdim=True)).flatten(1, 2)


def played_backwards(flow: Tensor, which: Tensor) -> Tensor:
    """Flow (N, F, 2, h, w) of clips, some (N,) of which run backwards: the opposite motion in the opposite order."""
    return torch.where(which[:, None, None, None, None], -flow.flip(1), flow)

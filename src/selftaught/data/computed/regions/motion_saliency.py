"""Where a shot moves otherwise than its background: the first votes of uNLC (Pathak et al., CVPR 2017)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.optical_flow import dense_flow
from selftaught.data.computed.regions.background import camera_flow

_REACH = 3
"""Frames before and after, to each of which flow is found, for a dominant motion."""
_FASTEST = 99
"""Percentile of a frame's residuals that is as salient as can be."""
_STILL = 1.0
"""Median length of flow below which a frame stands still, in hundredths of its short side."""
_BINS, _SHARE = 20, 0.75
"""Directions, and the share of all motion in one of them by which a frame is translated."""
_WINDOW = 5
_FEWEST = 0.5
"""Share of frames with a dominant motion below which motion says too little of a shot."""


def residual_saliency(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Motion that no homography of a frame explains: frames (T, H, W, 3) RGB of one shot, T > 1 -> (T, H, W) in [0, 1].

    The mean length of what is left of the flow to the frames before and after, up to its 99th percentile in the frame.
    """
    count = len(frames)
    total = np.zeros(frames.shape[:3], np.float32)
    for start, other in _pairs(count, 1):
        flow = dense_flow(frames[[start, other]], "medium")[0]
        total[start] += np.linalg.norm(flow - camera_flow(flow), axis=2)
    most = np.percentile(total.reshape(count, -1), _FASTEST, axis=1)[:, None, None]
    return np.asarray(np.minimum(total / np.maximum(most, 1e-6), 1), np.float32)


def dominant_saliency(frames: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Squared deviation from the dominant motion: frames (T, H, W, 3) RGB of one shot -> (T, H, W), 0 or more.

    A mean over the flow to up to three frames before and after, where it has a dominant motion. None where fewer than
    half of the frames have one.
    """
    count = len(frames)
    total = np.zeros(frames.shape[:3], np.float32)
    dominant = np.zeros(count, np.int64)
    for start, other in _pairs(count, _REACH):
        flow = dense_flow(frames[[start, other]], "medium")[0]
        found = deviation(flow * np.float32(100 / min(frames.shape[1:3])))
        if found is not None:
            total[start] += found
            dominant[start] += 1
    if np.count_nonzero(dominant) < _FEWEST * count:
        return None
    return np.asarray(total / np.maximum(dominant, 1)[:, None, None], np.float32)


def deviation(flow: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Mean squared deviation (H, W) from the dominant motion in 5 x 5 pixels; None where there is none.

    Of a frame that stands still, whose median length of flow is below 1, it is that of the length from 0. Of one that
    is translated, in which one of 20 directions has 0.75 of all motion, it is that of the direction, in radians.

    Args:
        flow: (H, W, 2) in hundredths of the frame's short side.
    """
    length = np.hypot(flow[..., 0], flow[..., 1])
    if np.median(length) < _STILL:
        squared = np.square(length)
    else:
        direction = np.arctan2(flow[..., 1], flow[..., 0])
        motion, edges = np.histogram(direction, _BINS, (-math.pi, math.pi), weights=length)
        most = int(motion.argmax())
        if motion[most] <= _SHARE * motion.sum():
            return None
        turned = direction - np.float32((edges[most] + edges[most + 1]) / 2)
        squared = np.square((turned + math.pi) % (2 * math.pi) - math.pi)
    blurred = cv2.blur(squared.astype(np.float32), (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def _pairs(count: int, reach: int) -> list[tuple[int, int]]:
    """Each frame of `count` with every other one within `reach`."""
    return [(t, u) for t in range(count) for u in range(max(0, t - reach), min(count, t + reach + 1)) if u != t]

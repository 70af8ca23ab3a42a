"""What moves against the background, from the flow between frames with the motion of the camera removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.optical_flow import Preset, check_preset, dense_flow, halved

_BORDER = 0.1
"""Share of a frame's short side, along each edge, in which most is taken for background."""
_INSIDE = 0.1
"""Weight of what is not at the border in the fit."""
_NEAR = 1.0
"""Pixels by which a point of the background may miss the fit."""
_ROUNDS = 30
_SPREAD, _FASTEST = 3.0, 0.4
"""Of the mean miss at the border, and of the greatest in the frame: what moves misses by more than both."""


@dataclass(frozen=True, kw_only=True)
class MovingMask(Program):
    """1 where a frame moves otherwise than its background from this frame to the next, else 0; at half resolution.

    The background is what one affine map moves, fitted to the flow with little weight on what misses it and most weight
    at the border of the frame: objects that a camera follows are in the middle, and may be larger than what is left of
    the background. A pixel moves where it misses the map by more than `threshold`, by more than three times as much as
    the border does on average, and by more than 0.4 of what the fastest hundredth of the frame does.

    On 12 sequences of DAVIS (40 frames each, 160 x 284 pixels) the mean IoU with masks that people drew is 0.40, from
    0.07 (goat, which the camera follows over stones) to 0.62 (cows): `benchmarks/moving_masks.py`.
    """

    name: ClassVar[str] = "moving_mask"
    version: ClassVar[int] = 4
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    threshold: float = 0.3
    """Pixels of the stored frames from one frame to the next; more than 0."""
    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed in the flow."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)
        if not self.threshold > 0:
            raise ValueError(f"the threshold of moving_mask must be more than 0 pixels, got {self.threshold}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB -> (T - 1, ceil(H / 2), ceil(W / 2), 1) of 0 and 1."""
        return np.stack([self._mask(halved(flow))[:, :, None] for flow in dense_flow(frames, self.preset)])

    def _mask(self, flow: NDArray[np.float32]) -> NDArray[np.uint8]:
        miss = np.linalg.norm(flow - camera_flow(flow), axis=2)
        at_border = miss[_border(*miss.shape)].mean()
        least = max(self.threshold, _SPREAD * float(at_border), _FASTEST * float(np.percentile(miss, 99)))
        mask = (miss > least).astype(np.uint8)
        # Specks of single pixels are noise of the flow, and so are such holes.
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return np.asarray(cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, cross), cv2.MORPH_CLOSE, cross))


def camera_flow(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of a flow (h, w, 2) that one affine map of the whole frame explains: the camera's.

    By least squares, reweighted in every round by Geman and McClure's function of the residual, whose width falls
    to `_NEAR` pixels.
    """
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    terms = np.stack([np.ones((height, width)), 2 * x / width - 1, 2 * y / height - 1], axis=2)
    every = 2 if min(height, width) > 8 else 1
    some = (slice(None, None, every), slice(None, None, every))
    places, moved = terms[some].reshape(-1, 3), flow[some].reshape(-1, 2).astype(np.float64)
    prior = np.where(_border(height, width), 1.0, _INSIDE)[some].reshape(-1)
    weights, near = prior, 0.0
    for _ in range(_ROUNDS):
        weighted = places * weights[:, None]
        # The last term keeps the solution finite where fewer than three points are seen.
        found = np.linalg.solve(weighted.T @ places + 1e-6 * np.eye(3), weighted.T @ moved)
        miss = np.linalg.norm(moved - places @ found, axis=1)
        near = max(_NEAR, 0.9 * near if near else 3 * float(np.median(miss)))
        weights = prior / (1 + (miss / near) ** 2) ** 2
    return np.asarray(terms @ found, np.float32)


def _border(height: int, width: int) -> NDArray[np.bool_]:
    """True in the frame (height, width) along its edges."""
    wide = max(1, round(_BORDER * min(height, width)))
    at_border = np.ones((height, width), np.bool_)
    at_border[wide : height - wide, wide : width - wide] = False
    return at_border

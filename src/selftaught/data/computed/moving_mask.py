"""What moves against the background, from the flow between frames with the motion of the camera removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.optical_flow import Preset, dense_flow, halved

_GRID = 8
"""Pixels between the points that the homography is fitted to."""
_NEAR = 1.0
"""Pixels by which a point of the background may miss the homography."""


@dataclass(frozen=True, kw_only=True)
class MovingMask(Program):
    """1 where a frame moves otherwise than its background from this frame to the next, else 0; at half resolution.

    The background is what one homography moves, fitted by RANSAC to the flow: exact for a camera that turns or zooms,
    and for a flat scene. A pixel moves where it misses the homography by more than `threshold`, and by more than
    three times the spread with which the background misses it.
    """

    name: ClassVar[str] = "moving_mask"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    threshold: float = 1.0
    """Pixels of the stored frames from one frame to the next; more than 0."""
    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed in the flow."""

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"the threshold of moving_mask must be more than 0 pixels, got {self.threshold}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB -> (T - 1, ceil(H / 2), ceil(W / 2), 1) of 0 and 1."""
        return np.stack([self._mask(halved(flow))[:, :, None] for flow in dense_flow(frames, self.preset)])

    def _mask(self, flow: NDArray[np.float32]) -> NDArray[np.uint8]:
        residual = np.linalg.norm(flow - camera_flow(flow, self.step), axis=2)
        # Most pixels are background: the median is theirs, and 1.48 times it the spread of a normal error.
        spread = 1.48 * float(np.median(residual))
        mask = (residual > max(self.threshold, 3 * spread)).astype(np.uint8)
        # Specks of single pixels are noise of the flow, and so are such holes.
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return np.asarray(cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, cross), cv2.MORPH_CLOSE, cross))


def camera_flow(flow: NDArray[np.float32], step: int = 1) -> NDArray[np.float32]:
    """The part of a flow (h, w, 2) that one homography of the whole frame explains; 0 where none is found.

    The flow is in pixels of the frame, of which `step` along each side are one of the flow.
    """
    y, x = (np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32) + 0.5) * step
    places = np.stack([x, y], axis=2)
    some = slice(_GRID // step // 2, None, _GRID // step)
    points = places[some, some].reshape(-1, 2)
    moved = points + flow[some, some].reshape(-1, 2)
    found = cv2.findHomography(points, moved, cv2.RANSAC, _NEAR)[0] if len(points) >= 4 else None
    if found is None:
        return np.zeros_like(flow)
    seen = np.asarray(cv2.perspectiveTransform(places.reshape(1, -1, 2), found), np.float32).reshape(flow.shape)
    camera: NDArray[np.float32] = seen - places
    return camera

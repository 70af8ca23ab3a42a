"""Edges between things that move otherwise than what is beside them, where the image has an edge too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.image_edges import gradient_edges
from selftaught.data.computed.optical_flow import Preset, check_preset, dense_flow, halved

STRONG = 98
"""Percentile of a frame's changes of flow that has strength 1."""
LEAST = 0.3
"""Least change of flow that has strength 1, pixels of the frame over the width of the derivative's kernel."""


@dataclass(frozen=True, kw_only=True)
class MotionEdges(Program):
    """Strength of the motion edges of each frame in [0, 1], as ridges that `ops.edges.ridges.thin` makes lines.

    Edges of the flow to the next frame (Sobel, the stronger of both components; Li et al., CVPR 2016, smooth it
    alike) are relative to what the strongest fiftieth of the frame exceeds. Flow is blurred across the borders of
    things, so these edges are pixels away from them: each image edge takes the strongest motion edge within `reach` of
    it, times the square root of its own strength. A constant flow has no edges, so a camera that turns has none.

    On 60 frames of DAVIS (160 x 284 pixels), ODS against the borders of what moves is 0.37, that of the flow's edges
    alone 0.23 and that of the image's 0.18: `benchmarks/contours.py`.
    """

    name: ClassVar[str] = "motion_edges"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "depth"
    dtype: ClassVar[type[np.int8]] = np.int8
    channels: ClassVar[int] = 1

    reach: float = 0.02
    """Share of the short side within which an image edge takes a motion edge; 0 keeps motion edges where they are."""
    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed in the flow."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)
        if not 0 <= self.reach < 0.5:
            raise ValueError(f"the reach of motion_edges must be in [0, 0.5), got {self.reach}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Frames (T, H, W, 3) RGB -> (T - 1, H, W, 1) in [0, 1]."""
        flows = dense_flow(frames, self.preset)
        return np.stack([self._edges(*pair)[:, :, None] for pair in zip(frames, flows, strict=False)])

    def _edges(self, frame: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = frame.shape[:2]
        edges = np.asarray(cv2.resize(flow_edges(halved(flow)), (width, height)), np.float32)
        if not self.reach:
            return edges
        reach = max(1, round(self.reach * min(height, width)))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        return np.sqrt(gradient_edges(frame)) * np.asarray(cv2.dilate(edges, disk), np.float32)


def flow_edges(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flow (h, w, 2) -> strength of its edges (h, w) in [0, 1]."""
    smooth = cv2.GaussianBlur(flow, (0, 0), 1.0)
    change = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)).max(axis=2)
    return np.asarray(np.minimum(1, change / max(2 * LEAST, float(np.percentile(change, STRONG)))), np.float32)

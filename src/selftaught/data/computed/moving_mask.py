"""What moves against the background, from the flow between frames with the motion of the camera removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.optical_flow import Preset, check_preset, dense_flow, halved
from selftaught.data.computed.regions.background import Camera, at_border, camera_flow, check_camera

_SPREAD, _FASTEST = 3.0, 0.4
"""Of the mean miss at the border, and of the greatest in the frame: what moves misses by more than both."""


@dataclass(frozen=True, kw_only=True)
class MovingMask(Program):
    """1 where a frame moves otherwise than its background from this frame to the next, else 0; at half resolution.

    The background is what one homography moves, fitted to the flow with little weight on what misses it and most weight
    at the border of the frame: objects that a camera follows are in the middle, and may be larger than what is left of
    the background. A pixel moves where it misses it by more than `threshold`, by more than three times as much as
    the border does on average, and by more than 0.4 of what the fastest hundredth of the frame does.

    On 12 sequences of DAVIS (40 frames each, 160 x 284 pixels) the mean IoU with masks that people drew is 0.40, from
    0.09 (goat, which the camera follows over stones) to 0.60 (cows); on clips of J-HMDB, where often only an arm of the
    person moves, 0.19: `benchmarks/moving_objects.py`.
    """

    name: ClassVar[str] = "moving_mask"
    version: ClassVar[int] = 5
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    threshold: float = 0.3
    """Pixels of the stored frames from one frame to the next; more than 0."""
    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed in the flow."""
    camera: Camera = "homography"
    """What a motion of the camera is: a homography, or an affine map, which has fewer parameters."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)
        check_camera(self.name, self.camera)
        if not self.threshold > 0:
            raise ValueError(f"the threshold of moving_mask must be more than 0 pixels, got {self.threshold}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB -> (T - 1, ceil(H / 2), ceil(W / 2), 1) of 0 and 1."""
        return np.stack([self._mask(halved(flow))[:, :, None] for flow in dense_flow(frames, self.preset)])

    def _mask(self, flow: NDArray[np.float32]) -> NDArray[np.uint8]:
        miss = np.linalg.norm(flow - camera_flow(flow, self.camera), axis=2)
        near_edge = miss[at_border(*miss.shape)].mean()
        least = max(self.threshold, _SPREAD * float(near_edge), _FASTEST * float(np.percentile(miss, 99)))
        mask = (miss > least).astype(np.uint8)
        # Specks of single pixels are noise of the flow, and so are such holes.
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return np.asarray(cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, cross), cv2.MORPH_CLOSE, cross))

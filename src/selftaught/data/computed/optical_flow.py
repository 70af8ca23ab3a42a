"""Optical flow from each frame to the next, by dense inverse search (DIS: Kroeger et al., ECCV 2016) of OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
Preset = Literal["ultrafast", "fast", "medium"]


@dataclass(frozen=True, kw_only=True)
class OpticalFlow(Program):
    """Flow (x, y) = (right, down) in pixels of the stored frames, from a frame to the next one of its video.

    Kept at half resolution in 8 bits with one scale a frame, a sixteenth of float32 flow at full size. On textured
    frames that move by up to a twentieth of their short side the mean end-point error is below 0.1 pixels; 8 bits add
    at most 1/254 of the fastest motion of the frame to each of x and y. Flow is uncertain where there is no texture
    and where ground is covered or uncovered.
    """

    name: ClassVar[str] = "optical_flow"
    version: ClassVar[int] = 2
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "flow"
    dtype: ClassVar[type[np.int8]] = np.int8
    channels: ClassVar[int] = 2
    step: ClassVar[int] = 2

    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Frames (T, H, W, 3) RGB -> (T - 1, ceil(H / 2), ceil(W / 2), 2) float32."""
        return np.stack([halved(flow) for flow in dense_flow(frames, self.preset)])


def check_preset(program: str, preset: str) -> None:
    """Raise a ValueError where OpenCV has no such preset."""
    if preset not in PRESETS:
        raise ValueError(f"the preset of {program} must be one of {', '.join(PRESETS)}, got {preset!r}")


def dense_flow(frames: NDArray[np.uint8], preset: Preset) -> list[NDArray[np.float32]]:
    """Flow (H, W, 2) in pixels from each of the frames (T, H, W, 3) RGB to the next, T - 1 of them."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    # One for each pair: it keeps buffers, by which the flow of small frames would depend on the pair before (by up to
    # 0.07 pixels). A new one costs nothing that can be measured.
    return [np.asarray(cv2.DISOpticalFlow.create(PRESETS[preset]).calc(*pair, np.empty(0))) for pair in pairwise(grey)]


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) -> (ceil(H / 2), ceil(W / 2), C): means of 2 x 2 values; the last line of an odd side repeats."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    half: NDArray[Any] = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, -1).mean((1, 3))
    return half

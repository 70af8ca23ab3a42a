"""Optical flow from each frame to the next, by dense inverse search (DIS: Kroeger et al., ECCV 2016) or by RAFT."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.raft import check_weights, raft_flow, weights_key

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
_SHORT, _LONG = 8, 12
"""Pixels that the shorter and the longer side must have for OpenCV's DIS."""
Preset = Literal["ultrafast", "fast", "medium"]


@dataclass(frozen=True, kw_only=True)
class OpticalFlow(Program):
    """Flow (x, y) = (right, down) in pixels of the stored frames, from a frame to the next one of its video.

    Kept at half resolution in 8 bits with one scale a frame, a sixteenth of float32 flow at full size; 8 bits add at
    most 1/254 of the fastest motion of the frame to each of x and y. On textured frames that move by up to a twentieth
    of their short side the mean end-point error of DIS is below 0.1 pixels. Against true flow, on frames with a short
    side of 160 pixels, it is 0.18 (median 0.10) where things move by 0.5 pixels (RubberWhale), and 1.7 (medians 0.07
    to 0.6) where they move by 2 to 13 (six pairs of FlyingChairs); half resolution and 8 bits add 0.02 to that at most.
    Flow is uncertain where there is no texture and where ground is covered or uncovered.

    RAFT takes far longer on a CPU. Nothing is downloaded: save the weights once by
    `torch.save(torchvision.models.optical_flow.raft_small(weights="DEFAULT").state_dict(), "raft_small.pth")`.
    """

    name: ClassVar[str] = "optical_flow"
    version: ClassVar[int] = 3
    reads: ClassVar[Literal[1, 2]] = 2
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "flow"
    dtype: ClassVar[type[np.int8]] = np.int8
    channels: ClassVar[int] = 2
    step: ClassVar[int] = 2

    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed, for DIS."""
    model: Literal["dis", "raft"] = "dis"
    weights: str = ""
    """File with the state dict of torchvision's raft_small or raft_large, for RAFT."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)
        if self.model not in ("dis", "raft"):
            raise ValueError(f"the model of optical_flow must be dis or raft, got {self.model!r}")
        if self.model == "dis" and self.weights:
            raise ValueError(f"the weights of optical_flow are for the model raft, got {self.weights} with dis")
        if self.model == "raft":
            if not self.weights:
                raise ValueError(
                    "optical_flow with the model raft needs weights, and downloads none; set weights to a file with a "
                    "state dict of torchvision's raft_small or raft_large"
                )
            if self.preset != "medium":
                raise ValueError(f"the preset of optical_flow is for the model dis, got {self.preset} with raft")
            check_weights(self.weights)

    def settings(self) -> str:
        """All settings as one text, the content of the weights in the place of their path."""
        values = super().settings()
        return values.replace(repr(self.weights), weights_key(self.weights)) if self.weights else values

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Frames (T, H, W, 3) RGB -> (T - 1, ceil(H / 2), ceil(W / 2), 2) float32."""
        flows = raft_flow(frames, self.weights) if self.weights else dense_flow(frames, self.preset)
        return np.stack([halved(flow) for flow in flows])


def check_preset(program: str, preset: str) -> None:
    """Raise a ValueError where OpenCV has no such preset."""
    if preset not in PRESETS:
        raise ValueError(f"the preset of {program} must be one of {', '.join(PRESETS)}, got {preset!r}")


def dense_flow(frames: NDArray[np.uint8], preset: Preset) -> list[NDArray[np.float32]]:
    """Flow (H, W, 2) in pixels from each of the frames (T, H, W, 3) RGB to the next, T - 1 of them."""
    height, width = frames.shape[1:3]
    times = max(-(-_SHORT // min(height, width)), -(-_LONG // max(height, width)))
    if times > 1:
        larger = frames.repeat(times, 1).repeat(times, 2)
        return [np.asarray(flow[::times, ::times] / times, np.float32) for flow in dense_flow(larger, preset)]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    # One for each pair: it keeps buffers, by which the flow of small frames would depend on the pair before (by up to
    # 0.07 pixels). A new one costs nothing that can be measured.
    return [np.asarray(cv2.DISOpticalFlow.create(PRESETS[preset]).calc(*pair, np.empty(0))) for pair in pairwise(grey)]


def halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, C) -> (ceil(H / 2), ceil(W / 2), C): means of 2 x 2 values; the last line of an odd side repeats."""
    height, width, channels = values.shape
    if height % 2 or width % 2:
        values = np.asarray(cv2.copyMakeBorder(values, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
    size = (values.shape[1] // 2, values.shape[0] // 2)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32).reshape(*size[::-1], channels)

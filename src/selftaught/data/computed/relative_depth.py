"""Which parts of a frame are nearer than others, from its optical flow with the turn of the camera removed."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, tan
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.camera_motion import Floats, camera_motion, going_flow, places_of, turning_flow
from selftaught.data.computed.optical_flow import Preset, check_preset, dense_flow, halved

_FLOW = 2.0
"""Pixels of the stored frames that most of a frame should move by: the flow of slower frames is mostly error."""
_ASTRAY, _LENGTHS = 1.0, 0.5
"""Pixels, and lengths of the flow by going, by which a place may miss the direction in which it must move."""
_EXPLAINED = 0.5
"""Share of a frame that the motion of the camera must explain."""
_AGREE = 0.5
"""Correlation of ranks from which the flow to a later frame and that to an earlier one tell the same depth."""


@dataclass(frozen=True, kw_only=True)
class RelativeDepth(Program):
    """Percentile of the depth of each pixel within its frame, 1 (nearest) to 255 (farthest), 0 where it is unknown; at
    half resolution.

    From the flow to another frame of the shot, what the turn of the camera moves is removed; by how much the rest moves
    along the direction that the way of the camera gives it is one over its depth, up to a factor. The other frame is 1,
    2, 4, ... frames later, up to `reach`: the first by which half of the frame moves by 2 pixels. The same is done with
    an earlier frame, and the mean of both is taken.

    Unknown are pixels at which near and far (the 10th and the 90th percentile of the frame) move by less than `least`
    pixels apart, as around the point that the camera goes to; those that move in another direction, as they are of a
    moving object or not followed; and whole frames of which the motion of the camera explains less than half, or in
    which the later and the earlier frame do not tell the same depth (rank correlation below 0.5). Frames whose camera
    only turns or stands still, and those of a flat wall, are therefore unknown.

    Order accuracy and rank correlation of the percentiles with true depth: `benchmarks/depth.py`.
    """

    name: ClassVar[str] = "relative_depth"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    shot: ClassVar[int] = 64
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "depth"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    fov: float = 60.0
    """Horizontal field of view of the camera in degrees, above 0 and below 180."""
    reach: int = 8
    """Largest distance of the other frame, in frames of the video; at least 1."""
    least: float = 0.5
    """Pixels of the stored frames; more than 0."""
    preset: Preset = "medium"
    """OpenCV's trade of accuracy for speed in the flow."""

    def __post_init__(self) -> None:
        check_preset(self.name, self.preset)
        if not 0 < self.fov < 180:
            raise ValueError(f"the fov of relative_depth must be above 0 and below 180 degrees, got {self.fov:g}")
        if self.reach < 1 or not self.least > 0:
            raise ValueError(
                "the reach of relative_depth must be at least 1 frame and its least flow more than 0 pixels, got "
                f"{self.reach} and {self.least:g}"
            )

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB of one shot -> (T, ceil(H / 2), ceil(W / 2), 1)."""
        focal = frames.shape[2] / 2 / tan(radians(self.fov) / 2)
        return np.stack([self._percentiles(frames, number, focal) for number in range(len(frames))])[..., None]

    def _percentiles(self, frames: NDArray[np.uint8], number: int, focal: float) -> NDArray[np.uint8]:
        """(h, w) of one of the frames; `focal` is in pixels of the frames."""
        height, width = self.map_size(*frames.shape[1:3])
        flows = [flow for way in (1, -1) if (flow := self._flow(frames, number, way)) is not None]
        found = [nearness(halved(one) / np.float32(2), focal / 2, self.least / 2) for one in flows]
        out = np.zeros(height * width, np.uint8)
        if not found or (len(found) == 2 and not _agree(*found)):
            return out.reshape(height, width)
        near = np.mean([_even(one) for one, _ in found], 0)
        is_known = np.any([known for _, known in found], 0)
        count = int(is_known.sum())
        if count > 1:
            out[is_known] = 1 + np.rint(254 * _ranks(-near[is_known]) / (count - 1))
        return out.reshape(height, width)

    def _flow(self, frames: NDArray[np.uint8], number: int, way: int) -> NDArray[np.float32] | None:
        """Flow (H, W, 2) from one of the frames to a later one (`way` 1) or an earlier one that is far enough away."""
        flow = None
        apart = 1
        while apart <= self.reach and 0 <= number + way * apart < len(frames):
            flow = dense_flow(frames[[number, number + way * apart]], self.preset)[0]
            if np.median(np.linalg.norm(flow, axis=2)) >= _FLOW:
                break
            apart *= 2
        return flow


Nearness = tuple[Floats, NDArray[np.bool_]]
"""One over depth (h w,) up to a factor, and where it is known (h w,)."""


def _agree(later: Nearness, earlier: Nearness) -> bool:
    both = later[1] & earlier[1]
    if both.sum() < 2:
        return bool(later[1].any() != earlier[1].any())
    first, second = (_ranks(one[both]) for one, _ in (later, earlier))
    return bool(np.corrcoef(first, second)[0, 1] >= _AGREE)


def _ranks(values: Floats) -> Floats:
    """From 0 on, equal values in their order."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _even(near: Floats) -> Floats:
    """With the median at 0, and a distance of 1 of the 10th and the 90th percentile."""
    low, middle, high = np.quantile(near, (0.1, 0.5, 0.9))
    return np.asarray((near - middle) / max(high - low, 1e-9))


def nearness(flow: NDArray[np.float32], focal: float, least: float) -> Nearness:
    """One over depth (h w,) up to a factor, and where it is known (h w,), from flow (h, w, 2); all in its pixels."""
    height, width = flow.shape[:2]
    motion = camera_motion(flow, focal)
    places = places_of(height, width, focal)
    going = going_flow(places, motion.direction)
    rest = flow.reshape(-1, 2) / focal - turning_flow(places, motion.turn)
    squared = np.maximum((going**2).sum(1), 1e-12)
    near = (rest * going).sum(1) / squared
    astray = np.linalg.norm(rest - near[:, None] * going, axis=1)
    far, close = np.quantile(near, (0.1, 0.9))
    enough = focal * np.sqrt(squared) * (close - far) >= least
    straight = astray <= np.maximum(_ASTRAY / focal, _LENGTHS * np.linalg.norm(rest, axis=1))
    return near, enough & straight & (motion.explained >= _EXPLAINED)

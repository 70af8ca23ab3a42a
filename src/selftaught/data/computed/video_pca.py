"""What the few principal components of a shot do not explain: VideoPCA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from selftaught.data.computed.base import Program
from selftaught.data.computed.optical_flow import halved

UNDECIDED = 255
_HUES, _SATURATIONS, _VALUES = 15, 11, 7
"""Bins of colours: of saturation along both axes of hue, and of value."""
_SEED = 0.5
"""Of the largest smoothed error of a frame: what has more is foreground when the colours are counted."""
_STRONG, _WEAK = 0.8, 0.5
"""Of the largest score of a frame: what has more than the second, and is connected with more than the first, stays."""

_LIKELY = 0.5
"""Score from which a colour is of the foreground rather than of the background."""


@dataclass(frozen=True, kw_only=True)
class VideoPca(Program):
    """1 where a shot has a foreground, 0 where not, 255 where the scores leave it open; at half resolution.

    VideoPCA (Stretcu and Leordeanu, BMVC 2015), the teacher of Croitoru, Bogolin and Leordeanu (ICCV 2017), after the
    code that its authors published with Haller and Leordeanu (ICCV 2017):

    - each frame is reconstructed from the mean and the first `components` principal components of all frames; what
      differs most is foreground, as a thing that moves is in no place for long
    - the error, blurred and weighted by a Gaussian in the middle of the frame (a third of the short side wide), above
      half of its largest value is a first foreground
    - colours in 15 x 11 x 7 bins are counted inside and outside of it over all frames; a pixel's score is p(colour |
      foreground) / (p(colour | foreground) + p(colour | background))
    - the score, weighted by the Gaussian, is cut by hysteresis between 0.5 and 0.8 of its largest value
    - what stays is foreground where its score, unweighted, is at least 0.5, and what does not is background where it is
      less; the rest is left open

    As the camera's motion is not removed, it is for cameras that stand still or move little. The size of the blur and
    the number of components are not published with the code.

    On 12 sequences of DAVIS, whose cameras move, the mean IoU with masks that people drew is 0.31; on clips of J-HMDB
    it is 0.29: `benchmarks/moving_objects.py`.
    """

    name: ClassVar[str] = "video_pca"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    shot: ClassVar[int] = 96
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    components: int = 3
    """Principal components that reconstruct a frame."""
    blur: float = 0.05
    """Width of the Gaussian that smooths the error, as a share of the short side."""

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"the components of video_pca must be at least 1, got {self.components}")
        if not self.blur > 0:
            raise ValueError(f"the blur of video_pca must be above 0, got {self.blur}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB of one shot -> (T, ceil(H / 2), ceil(W / 2), 1) of 0, 1 and 255."""
        small = np.stack([halved(frame.astype(np.float32) / 255) for frame in frames])
        if len(frames) < 2:
            return np.full((len(frames), *small.shape[1:3], 1), UNDECIDED, np.uint8)
        middle = centre(*small.shape[1:3])
        width = self.blur * min(small.shape[1:3])
        errors = [cv2.GaussianBlur(one, (0, 0), width) * middle for one in reconstruction_error(small, self.components)]
        seeds = np.stack([_unit(one) > _SEED for one in errors])
        scores = colour_scores(small, seeds)
        kept = np.stack([hysteresis(_unit(one * middle), low=_WEAK, high=_STRONG) for one in scores])
        likely = scores >= _LIKELY
        return np.where(kept == likely, kept, UNDECIDED).astype(np.uint8)[..., None]


def reconstruction_error(frames: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    """Length of what the mean and the first components leave of the colour of each pixel: (T, H, W, 3) -> (T, H, W)."""
    flat = frames.reshape(len(frames), -1)
    spread = flat - flat.mean(0)
    # The components in pixels are the frames weighted by those of the small matrix of their products.
    weights = np.linalg.eigh(spread @ spread.T)[1][:, -components:]
    left = (spread - weights @ (weights.T @ spread)).reshape(frames.shape)
    return np.asarray(np.linalg.norm(left, axis=3), np.float32)


def colour_scores(frames: NDArray[np.float32], foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much more often each pixel's colour is in the foreground than in the background, in [0, 1].

    Args:
        frames: (T, H, W, 3) RGB in [0, 1].
        foreground: (T, H, W).
    """
    bins = np.stack([_colour_bins(frame) for frame in frames])
    count = _HUES * _SATURATIONS * _VALUES
    inside = np.bincount(bins[foreground], minlength=count) / max(int(foreground.sum()), 1)
    outside = np.bincount(bins[~foreground], minlength=count) / max(int((~foreground).sum()), 1)
    share = inside / np.maximum(inside + outside, 1e-12)
    return np.asarray(share[bins], np.float32)


def hysteresis(values: NDArray[np.float32], *, low: float, high: float) -> NDArray[np.bool_]:
    """Where values (H, W) are above `low` and connected, over such, with one above `high`."""
    numbers, count = label(values > low, structure=np.ones((3, 3), np.int64))
    strong = np.zeros(count + 1, np.bool_)
    strong[np.unique(numbers[values > high])] = True
    strong[0] = False
    return np.asarray(strong[numbers])


def centre(height: int, width: int) -> NDArray[np.float32]:
    """Gaussian (height, width) in the middle of a frame, a third of the short side wide, at most 1."""
    y, x = np.mgrid[:height, :width]
    apart = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2
    return np.asarray(np.exp(-apart / (2 * (min(height, width) / 3) ** 2)), np.float32)


def _colour_bins(frame: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the bin of each pixel's colour: (H, W, 3) RGB -> (H, W)."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(frame, cv2.COLOR_RGB2HSV), 2, 0)
    angle = np.deg2rad(hue)
    parts = ((saturation * np.cos(angle) + 1) / 2, (saturation * np.sin(angle) + 1) / 2, value)
    counts = (_HUES, _SATURATIONS, _VALUES)
    first, second, third = (np.rint(part * (n - 1)).astype(np.int64) for part, n in zip(parts, counts, strict=True))
    return np.asarray(first + _HUES * (second + _SATURATIONS * third))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """From 0 to 1; 0 where all are equal."""
    least, most = float(values.min()), float(values.max())
    return (values - np.float32(least)) / np.float32(most - least if most > least else 1.0)

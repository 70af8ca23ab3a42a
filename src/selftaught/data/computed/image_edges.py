"""Edges of images by a plain program: Canny's, or the gradient's structure tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program

Method = Literal["gradient", "canny"]
BLUR = 0.0065
"""Standard deviation of the blur before derivatives, of the short side: 2 pixels of an image of BSDS."""
STRONG = 99
"""Percentile of an image's contrast that has strength 1."""
FAINT = 0.005
"""Least contrast that has strength 1, as a share of the range of values a pixel: less is noise of the sensor."""
_LOW = 0.4
"""Canny's lower threshold, of the upper one."""
_LEVELS = 16


@dataclass(frozen=True, kw_only=True)
class ImageEdges(Program):
    """Strength of the edges of each image in [0, 1], as ridges that `ops.edges.ridges.thin` makes lines.

    `gradient`: the difference of the square roots of both eigenvalues of the structure tensor (Di Zenzo 1986), summed
    over the channels of CIELAB; texture, whose gradients point everywhere, is weaker than a line. `canny`: the
    highest upper threshold at which Canny's detector (PAMI 1986) keeps a pixel, with a lower one of 0.4 of it. Both are
    relative to what the strongest hundredth of the image exceeds.
    """

    name: ClassVar[str] = "image_edges"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "depth"
    dtype: ClassVar[type[np.int8]] = np.int8
    channels: ClassVar[int] = 1

    method: Method = "gradient"

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"the method of image_edges must be gradient or canny, got {self.method!r}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Frames (T, H, W, 3) RGB -> (T, H, W, 1) in [0, 1]."""
        edges = gradient_edges if self.method == "gradient" else canny_ridges
        return np.stack([edges(frame)[:, :, None] for frame in frames])


def gradient_edges(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Image (H, W, 3) RGB -> strength (H, W) in [0, 1] by the structure tensor."""
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32) / 100
    sigma = _sigma(image)
    by_x, by_y = _derivatives(_blurred(lab, sigma))
    products = [(by_x * by_x).sum(2), (by_y * by_y).sum(2), (by_x * by_y).sum(2)]
    xx, yy, xy = (_blurred(one, sigma) for one in products)
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    first, second = (np.sqrt(np.maximum(0, (xx + yy + sign * spread) / 2)) for sign in (1, -1))
    return _relative(first - second)


def canny_edges(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Image (H, W, 3) RGB -> (H, W): the highest threshold at which a pixel stays, in [0, 1]; lines, 0 elsewhere."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32) / 255
    by_x, by_y = _derivatives(_blurred(grey, _sigma(image)))
    most = _strong(np.hypot(by_x, by_y))
    dx, dy = (np.clip(4000 * one / most, -32000, 32000).astype(np.int16) for one in (by_x, by_y))
    found = np.zeros(grey.shape, np.float32)
    for level in np.arange(1, _LEVELS + 1) / _LEVELS:
        upper = 4000 * float(level) - 1  # the strongest pixel is above the last level
        found[cv2.Canny(dx, dy, _LOW * upper, upper, L2gradient=True) > 0] = level
    return found


def canny_ridges(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`canny_edges` (H, W), each line widened by a pixel of half its strength, so that it can be resampled."""
    lines = canny_edges(image)
    beside = cv2.dilate(lines, np.ones((3, 3), np.uint8)) / 2
    return np.maximum(lines, np.asarray(beside, np.float32))


def _sigma(image: NDArray[np.uint8]) -> float:
    return max(0.5, BLUR * float(min(image.shape[:2])))


def _blurred(values: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _derivatives(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Along x and y, per pixel."""
    steps = ((1, 0), (0, 1))
    by_x, by_y = (np.asarray(cv2.Sobel(values, cv2.CV_32F, *step, scale=1 / 8), np.float32) for step in steps)
    return by_x, by_y


def _relative(contrast: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.minimum(1, contrast / _strong(contrast)), np.float32)


def _strong(contrast: NDArray[np.float32]) -> float:
    return max(FAINT, float(np.percentile(contrast, STRONG)))

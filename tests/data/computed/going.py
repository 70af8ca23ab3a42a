"""What a camera sees that goes and turns before a textured scene of known depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.data.computed.moving import texture

HEIGHT, WIDTH = 72, 96


def scene_depth(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.float64]:
    """(height, width) metres: a floor that recedes, a wall at 9 m and two boxes before it, one above and one below."""
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    depth = np.minimum(9.0, 1.2 / np.maximum(y - 0.45, 1e-3))
    depth = np.where((y < 0.35) & (y > 0.05) & (x > 0.15) & (x < 0.45), 2.0, depth)
    return np.where((y > 0.45) & (y < 0.8) & (x > 0.6) & (x < 0.85), 1.6, depth)


def true_flow(
    depth: NDArray[np.float64], focal: float, way: tuple[float, float, float], turn: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Flow (H, W, 2) in pixels of a camera that goes by `way`, metres, and turns by `turn`, radians, exactly."""
    height, width = depth.shape
    y, x = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones_like(x)], 2)
    seen = (rays * depth[:, :, None] - np.array(way)) @ cv2.Rodrigues(np.array(turn))[0]
    places = focal * seen[:, :, :2] / seen[:, :, 2:] + np.array([width / 2, height / 2])
    return np.asarray(places - np.stack([x, y], 2), np.float32)


def frames_of(flow: NDArray[np.float32], count: int = 2) -> NDArray[np.uint8]:
    """Frames (count, H, W, 3): a texture, and what each part of it moves to by its flow, again and again."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ground = texture(height, width)
    shown = []
    for t in range(count):
        # Approximately: the flow is read where a part comes from, not where it is.
        right, down = x - t * flow[:, :, 0], y - t * flow[:, :, 1]
        shown.append(cv2.remap(ground, right, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.clip(np.rint(np.stack(shown)), 0, 255), np.uint8)

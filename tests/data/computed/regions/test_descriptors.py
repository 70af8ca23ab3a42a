"""What regions are compared by, as loops over the pixels of their patches find it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from selftaught.data.computed.regions.descriptors import descriptors
from selftaught.data.computed.regions.superpixels import lab_of
from tests.data.computed.moving import texture


def loops(frame: np.ndarray, top: int, left: int) -> list[float]:
    """Gradients, colours and place of the patch of 15 x 15 pixels at (top, left)."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) / 255.0
    down, right = np.gradient(grey)
    lab = lab_of(frame)
    cells, colours = [0.0] * 54, [0.0] * 120
    for i in range(15):
        for j in range(15):
            dy, dx = down[top + i, left + j], right[top + i, left + j]
            turn = int(math.atan2(dy, dx) % math.pi / math.pi * 6)
            cells[((i // 5) * 3 + j // 5) * 6 + min(turn, 5)] += math.hypot(dx, dy)
            values = [*frame[top + i, left + j].tolist(), *lab[top + i, left + j].tolist()]
            for channel, (value, least, most) in enumerate(
                zip(values, (0, 0, 0, 0, -128, -128), (255, 255, 255, 100, 127, 127), strict=True)
            ):
                colours[20 * channel + min(19, int((value - least) * 20 / (most - least)))] += 1 / 225
    length = math.sqrt(sum(c * c for c in cells) + 1e-10)
    cells = [min(c / length, 0.2) for c in cells]
    length = math.sqrt(sum(c * c for c in cells) + 1e-10)
    return [c / length for c in cells] + colours + [top / len(frame), left / frame.shape[1]]


def test_descriptors_against_loops() -> None:
    frame = texture(40, 60).astype(np.uint8)
    labels = np.zeros((20, 30), np.int32)  # of a frame of half the size
    labels[4:14, 9:20], labels[:2, 28:] = 1, 2
    found = descriptors(frame, labels)
    assert found.shape == (3, 176)
    for region, (top, left) in enumerate([(12, 22), (10, 21), (0, 45)]):  # the last one is moved inside
        assert np.allclose(found[region], loops(frame, top, left), atol=1e-5), region


def test_frames_smaller_than_a_patch_have_descriptors() -> None:
    found = descriptors(texture(7, 10).astype(np.uint8), np.zeros((4, 5), np.int32))
    assert found.shape == (1, 176)
    assert np.isfinite(found).all()

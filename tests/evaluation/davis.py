"""A small folder of videos with masks: textured squares that move over a textured ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selftaught.core.randomness import numpy_generator

HEIGHT, WIDTH, FRAMES = 48, 64, 5


def moving_object(seed: int, objects: int = 1) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Frames (48, 64, 3) and their masks (48, 64), 1, 2, ... for the objects; each moves 4 pixels a frame."""
    rng = numpy_generator("moving object", seed)
    ground = rng.integers(0, 120, (HEIGHT // 4, WIDTH // 4, 3)).repeat(4, 0).repeat(4, 1)
    things = rng.integers(120, 256, (objects, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    frames, masks = [], []
    for t in range(FRAMES):
        frame, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        for k, thing in enumerate(things):
            top, left = 4 + 24 * k, 8 + 4 * t
            frame[top : top + 16, left : left + 16] = thing
            mask[top : top + 16, left : left + 16] = k + 1
        frames.append(frame.astype(np.uint8))
        masks.append(mask)
    return frames, masks


def write_videos(folder: Path, names: dict[str, int], *, frames: str = "frames", masks: str = "masks") -> Path:
    """Videos by name with so many objects; masks of one object are 0 and 255, as those of DAVIS 2016."""
    for seed, (name, objects) in enumerate(names.items()):
        shown, known = moving_object(seed, objects)
        for t, (frame, mask) in enumerate(zip(shown, known, strict=True)):
            for place, pixels in ((frames, frame), (masks, mask * 255 if objects == 1 else mask)):
                path = folder / place / name / f"{t:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return folder

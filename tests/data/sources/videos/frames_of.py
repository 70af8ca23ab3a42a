"""Folders of frames that tests write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.data.store.videos import moving


def write_frames(
    folder: Path, frames: NDArray[np.uint8], *, name: str = "{:04d}.png", first: int = 1, step: int = 1
) -> Path:
    """Images (T, H, W, 3), named by their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(first + step * t))
    return folder


def write_clips(root: Path, *keys: str, count: int = 8, name: str = "{:04d}.png") -> Path:
    """A moving square in a folder for each of the keys."""
    for seed, key in enumerate(keys):
        write_frames(root / key, moving(count, 32, seed), name=name)
    return root

"""What a hostile input is, and the good images it stands among."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

OUTSIDE = Path(tempfile.gettempdir()) / "evil.jpg"
"""What the absolute names in hostile archives are; no verb may write it."""


@dataclass(frozen=True)
class Hostile:
    """One input.

    Attributes:
        title: what it is.
        make: fills an empty folder.
        data: what of that folder is given as data; the folder itself unless told.
        task: what is learnt from it.
        files: how many things besides the good images a run that goes through must use or list; None: any number.
    """

    title: str
    make: Callable[[Path], None]
    data: str = ""
    task: str = "rotation"
    files: int | None = None


def good_images(root: Path, count: int = 8) -> None:
    """Two classes of small photographs, in folders `a` and `b`."""
    for i in range(count):
        path = root / "ab"[i % 2] / f"good{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(i)
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((48, 48), Image.Resampling.BICUBIC).save(path)

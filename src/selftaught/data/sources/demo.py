"""Real photographs and clips that come with the package, so that everything runs with nothing to download.

Images are grey patches of twelve photographs, and the label is the photograph a patch was cut from. The photographs
are cut into upright strips; patches of every second strip are for training, the others are held out, so no pixel is in
both. Without colour the question is not answered by the mean of the pixels alone. See ATTRIBUTION.md for who took them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.decode.image import decode_image
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.video_folder import open_video_folder

FOLDER = Path(__file__).parents[1] / "demo_data"
SIDE = 64
"""Pixels of a patch."""
STRIP = 96
"""Width of a strip in pixels: a patch is inside one."""
STRIDE = 16
"""Pixels from one patch to the next, in both directions."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Where a patch was cut: the photograph's name and the upper left corner, pixels."""

    photograph: str
    top: int
    left: int


@final
class DemoPatches(Source):
    """One split of the patches."""

    def __init__(self, patches: list[Patch], classes: tuple[str, ...]) -> None:
        self.name = "demo"
        self.provides = frozenset({"image", "label"})
        self.classes = classes
        index = {name: i for i, name in enumerate(classes)}
        self.entries = [Entry(f"{p.photograph}/{p.top:03d}_{p.left:03d}", index[p.photograph]) for p in patches]
        self.part = "test"
        self.fingerprint = digest(["demo 1", *(entry.key for entry in self.entries)])
        self._patches = patches

    def read(self, i: int) -> NDArray[np.uint8]:
        """A patch (SIDE, SIDE, 3) uint8, grey."""
        patch = self._patches[i]
        grey = _photograph(patch.photograph)[patch.top : patch.top + SIDE, patch.left : patch.left + SIDE]
        return np.repeat(grey[:, :, None], 3, axis=2)


def open_demo(split: str, needs: frozenset[str], seed: int, held_out: float) -> Source:
    """One split of the patches, of the clips for a task on video, or of the clips with sound for a task on that.

    Args:
        split: "train", "held_out" or "test"; for the patches the last two are the same.
        needs: what the task asks for.
        seed: of the clips that are held out.
        held_out: share of the clips that is held out; the patches have splits of their own.
    """
    if "audio" in needs:
        return open_video_folder(
            FOLDER / "clips_with_sound", split=split, needs=needs, seed=seed, held_out=max(held_out, 0.3)
        )
    if "video" in needs:
        return open_video_folder(FOLDER / "clips", split=split, needs=needs, seed=seed, held_out=held_out)
    names = tuple(sorted(path.stem for path in (FOLDER / "photographs").glob("*.jpg")))
    patches = [patch for name in names for patch in _cut(name, odd=split != "train")]
    return DemoPatches(patches, names)


def _cut(photograph: str, *, odd: bool) -> list[Patch]:
    height, width = _photograph(photograph).shape
    strips = range(STRIP if odd else 0, width - STRIP + 1, 2 * STRIP)
    inside = range(0, STRIP - SIDE + 1, STRIDE)
    tops = range(0, height - SIDE + 1, STRIDE)
    return [Patch(photograph, top, strip + x) for strip in strips for x in inside for top in tops]


@functools.lru_cache(maxsize=32)
def _photograph(name: str) -> NDArray[np.uint8]:
    """(H, W) uint8, the long side 512 pixels."""
    picture = decode_image((FOLDER / "photographs" / f"{name}.jpg").read_bytes())
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = 512 / max(grey.shape)
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

"""Folders whose images are numbered as the frames of a video are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_NUMBERED = re.compile(r"(\D*)(\d{3,})")
_PARTS = re.compile(r"(\D*)(\d*)")
_FEWEST = 6
_EVEN, _SPARSEST = 0.8, 2
"""Share of the steps between the numbers of frames that are equal, and how many times more there may be than images."""


def frame_folders(keys: Sequence[str], class_of: dict[str, str]) -> list[str]:
    """Folders of six images or more with one name and consecutive numbers, as `img_00001.jpg`; [] for one alone.

    A folder of a class is not a video unless its images are called frames.

    Args:
        keys: of the images.
        class_of: class of an image, which is the name of its folder or of one above.
    """
    inside: dict[str, list[str]] = {}
    for key in keys:
        inside.setdefault(key.rpartition("/")[0], []).append(key)
    found = []
    for folder, files in inside.items():
        stems = [_NUMBERED.fullmatch(key.rpartition("/")[2].rpartition(".")[0]) for key in files]
        if len(files) < _FEWEST or not folder or not all(stems):
            continue
        names = {stem[1] for stem in stems if stem}
        numbers = {int(stem[2]) for stem in stems if stem}
        is_class = class_of.get(files[0]) == folder.rpartition("/")[2] and "frame" not in "".join(names).lower()
        if len(names) == 1 and max(numbers) - min(numbers) == len(files) - 1 and not is_class:
            found.append(folder)
    return sorted(found) if len(found) > 1 else []


@dataclass(frozen=True)
class FrameFolder:
    """A folder whose images are all numbered alike, by steps of equal size.

    Attributes:
        folder: its path, "" at the top.
        frames: number of a frame, from 0 on, -> key of its image; a number that is missing has none.
        fps: numbers in a second, where it is known.
    """

    folder: str
    frames: Mapping[int, str]
    fps: float | None = None

    @property
    def count(self) -> int:
        """Frames with those that are missing."""
        return max(self.frames) + 1


def numbered_folders(keys: Sequence[str]) -> tuple[list[FrameFolder], list[str]]:
    """Folders whose images may be the frames of a video, sorted, and the images that are in no such folder.

    The names of such a folder differ in one number only, which no two share, and nearly all steps from one number to
    the next are equal. So 2 comes before 10, every fifth frame is a frame, and photographs with numbers of their own
    are none.
    """
    inside: dict[str, list[str]] = {}
    for key in keys:
        inside.setdefault(key.rpartition("/")[0], []).append(key)
    found, others = [], []
    for folder, files in sorted(inside.items()):
        frames = _frames(files)
        if frames is None:
            others += files
        else:
            found.append(FrameFolder(folder, frames))
    return found, others


def _frames(files: Sequence[str]) -> dict[int, str] | None:
    parts = [_PARTS.findall(key.rpartition("/")[2].rpartition(".")[0]) for key in files]
    if len({tuple(text for text, _ in one) for one in parts}) != 1:
        return None
    columns = list(zip(*([number for _, number in one] for one in parts), strict=True))
    varying = [column for column in columns if len(set(column)) > 1] or columns[-2:-1]
    if len(varying) != 1:
        return None
    numbers = {int(number): key for number, key in zip(varying[0], files, strict=True) if number}
    order = sorted(numbers)
    if len(numbers) < len(files):
        return None
    steps = Counter(later - earlier for earlier, later in pairwise(order))
    step, times = steps.most_common(1)[0] if steps else (1, 0)
    if times < _EVEN * steps.total() or any(other % step for other in steps):
        return None
    if (order[-1] - order[0]) // step >= len(order) * _SPARSEST:
        return None
    return {(number - order[0]) // step: numbers[number] for number in order}

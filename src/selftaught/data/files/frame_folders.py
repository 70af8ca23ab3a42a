"""Folders whose images are numbered as the frames of a video are."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(\D*)(\d{3,})")
_FEWEST = 6


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

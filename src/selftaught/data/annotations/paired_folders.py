"""Folders of maps that go with folders of images, by their names: `masks/a.png` with `images/a.jpg`."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

_IMAGES = frozenset(
    ("images", "image", "imgs", "img", "jpegimages", "frames", "photos", "pictures", "rgb", "color", "colour")
) | {"input", "inputs", "raw"}


@dataclass(frozen=True)
class Pairs:
    """Folders of maps (each with its "/"), and the map of each image that has one."""

    folders: tuple[str, ...] = ()
    pairs: dict[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    """Folders of the images that have maps."""

    def holds(self, key: str) -> bool:
        """Whether the file is in one of the folders of maps."""
        return key.startswith(self.folders)

    def belong(self, keys: Sequence[str]) -> list[str]:
        """Of all images those that go with maps; other images of the data do not lack one."""
        return [key for key in keys if key.startswith(self.images) and not self.holds(key)]


def find_pairs(
    keys: Sequence[str], *, folders: re.Pattern[str], ends: re.Pattern[str], file_ends: re.Pattern[str]
) -> Pairs:
    """Folders named as maps are that hold one for at least half of the images of a folder beside them.

    That is a folder named as images are, or that of the same name without the end, as train of trainannot.

    Args:
        keys: of all images, the maps among them.
        folders: what a folder of maps is called, in small letters.
        ends: of the name of a folder of maps, before which that of its images stands.
        file_ends: of the name of a map, before which that of its image stands.
    """
    places = {key.rpartition("/")[0] for key in keys}
    roots = sorted({root for place in places if (root := _root(place, folders, ends))})
    if not roots:
        return Pairs()
    keys = sorted(keys)
    beside: dict[str, set[str]] = {}
    for place in places:
        parts = place.split("/")
        for depth, name in enumerate(parts):
            beside.setdefault("/".join(parts[:depth]), set()).add(name)
    found = Pairs()
    for root in roots:
        parent, _, name = root.rpartition("/")
        stripped, others = ends.sub("", name), sorted(beside[parent] - {name})
        sources = [stripped] if stripped in others else [other for other in others if other.lower() in _IMAGES]
        maps = _below(f"{root}/", keys)
        for source in sources:
            prefix = f"{parent}/{source}/".removeprefix("/")
            photos = {_stem(key, prefix): key for key in _below(prefix, keys)}
            pairs = {photos[stem]: one for one in maps if (stem := _partner(_stem(one, f"{root}/"), photos, file_ends))}
            if pairs and 2 * len(pairs) >= min(len(maps), len(photos)):
                # The first folder by name keeps its pairs: SegmentationClass, not SegmentationObject.
                found = Pairs((*found.folders, f"{root}/"), pairs | found.pairs, (*found.images, prefix))
                break
    return found


def _root(place: str, folders: re.Pattern[str], ends: re.Pattern[str]) -> str | None:
    parts = place.split("/")
    named = (i for i, part in enumerate(parts) if folders.match(part.lower()) or ends.search(part))
    return next(("/".join(parts[: i + 1]) for i in named), None)


def _below(prefix: str, keys: Sequence[str]) -> Sequence[str]:
    """Of sorted keys, those that begin so."""
    return keys[bisect_left(keys, prefix) : bisect_left(keys, prefix[:-1] + chr(ord("/") + 1))]


def _stem(key: str, prefix: str) -> str:
    return key[len(prefix) :].rpartition(".")[0]


def _partner(stem: str, photos: dict[str, str], file_ends: re.Pattern[str]) -> str | None:
    return next((name for name in (stem, file_ends.sub("", stem)) if name in photos), None)

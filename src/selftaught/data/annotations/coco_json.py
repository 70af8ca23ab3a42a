"""What COCO's JSON files say, as people's tools write them: paths of other machines, text ids, no sizes, odd boxes.

Faults of one image are kept with it; only a file that is not COCO JSON is an error.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selftaught.data.annotations.base import FAR, inside
from selftaught.data.annotations.coco_regions import Region, parse_region
from selftaught.data.decode.image import image_size
from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.splits import given_split

_LISTS = ("images", "annotations", "categories")


@dataclass
class CocoPicture:
    """Annotations of one image; its size is read from the image if the JSON has none."""

    file: str
    """The JSON file."""
    width: int
    height: int
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)


@dataclass
class Coco:
    """What JSON files say, by key of the image.

    Attributes:
        classes: names of the categories, by ascending id.
        splits: part that the name of an image's JSON file gives; absent where it gives none.
        wrong: one clause for each image with something wrong.
        stray: one clause for each entry that belongs to no image.
        cut: boxes that left their image by up to a pixel.
    """

    classes: tuple[str, ...]
    pictures: dict[str, CocoPicture] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    stray: list[str] = field(default_factory=list)
    cut: int = 0


def read_coco(tree: FileTree, files: Mapping[str, str], *, regions: bool = False) -> Coco:
    """Read JSON files; regions are kept only where they are asked for, as they take the most memory.

    Args:
        tree: the data.
        files: the part of each JSON file, "" where it has none.
        regions: whether masks are asked for.

    Raises:
        ValueError: where a file is no COCO JSON at all.
    """
    whole = {file: _lists(tree, file) for file in files}
    names: dict[str, str] = {}
    for file, content in whole.items():
        for category in content["categories"]:
            if not isinstance(category, dict) or _id(category.get("id")) is None or category.get("name") is None:
                raise ValueError(f"{file} of {tree.where} has a category without id or name; give each both")
            number, name = str(_id(category["id"])), str(category["name"])[:1000]
            if names.setdefault(number, name) != name:
                raise ValueError(f"{file} of {tree.where} gives category {number} another name than the others")
    # Two categories of one name are one class: Roboflow adds one above all others.
    classes = tuple(dict.fromkeys(names[number] for number in sorted(names, key=_order)))
    index = {number: classes.index(name) for number, name in names.items()}
    coco = Coco(classes)
    places = _places(tree)
    for file, part in files.items():
        _File(tree, coco, file, part, index, places, regions).read(whole.pop(file))
    return coco


def _lists(tree: FileTree, file: str) -> dict[str, list[Any]]:
    try:
        found = json.loads(tree.read(file, most=LARGEST_TEXT))
    except (OSError, ValueError, RecursionError) as broken:
        raise ValueError(f"{file} of {tree.where} is no COCO JSON with images, annotations and categories") from broken
    lacks = [name for name in _LISTS if not isinstance(found, dict) or not isinstance(found.get(name), list)]
    if lacks:
        raise ValueError(
            f"{file} of {tree.where} is no COCO JSON with images, annotations and categories: "
            f"{' and '.join(lacks)} must be a list"
        )
    return {name: found[name] for name in _LISTS}


def _id(value: Any) -> str | None:
    """Ids as texts: tools write 7, "7" and 7.0 for one image."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _order(number: str) -> tuple[float, str]:
    return (int(number), "") if number.lstrip("-").isdecimal() and len(number) < 300 else (math.inf, number)


def _places(tree: FileTree) -> dict[str, list[str]]:
    """Keys by the last part of their names."""
    places: dict[str, list[str]] = defaultdict(list)
    for key in tree.keys:
        places[key.rpartition("/")[2]].append(key)
    return places


@dataclass
class _File:
    """One JSON file while it is read into `coco`."""

    tree: FileTree
    coco: Coco
    file: str
    part: str
    index: Mapping[str, int]
    places: Mapping[str, Sequence[str]]
    regions: bool

    def read(self, content: Mapping[str, list[Any]]) -> None:
        keys: dict[str, str] = {}
        for image in content["images"]:
            number = _id(image.get("id")) if isinstance(image, dict) else None
            if number is None or not isinstance(image.get("file_name"), str):
                self.coco.stray.append(f"{self.file}: an image has no 'id' or no 'file_name'")
                continue
            key = self._add_picture(image)
            if keys.setdefault(number, key) != key:
                self.coco.wrong[key] = f"{self.file} gives {key} the id {number} of {keys[number]}"
                self.coco.wrong[keys[number]] = f"{self.file} gives {keys[number]} the id {number} of {key}"
        for note in content["annotations"]:
            number = _id(note.get("image_id")) if isinstance(note, dict) else None
            if number is None or number not in keys:
                told = (str(note.get(name))[:60] for name in ("id", "image_id")) if isinstance(note, dict) else "??"
                what = "annotation {} is of the image {}, which it does not list".format(*told)
                self.coco.stray.append(f"{self.file}: {what}")
                continue
            self._add(keys[number], note)

    def _add_picture(self, image: Mapping[str, Any]) -> str:
        coco, name = self.coco, image["file_name"]
        key = _place(name, self.file, self.part, self.places)
        if key is None:
            key = name
            coco.wrong[key] = f"{self.file} names the image {key[:200]}, which is missing"
        known = coco.pictures.get(key)
        if known is not None and known.file != self.file and coco.splits.get(key, "") != self.part:
            coco.wrong[key] = f"{key} is in {known.file} and in {self.file}"
        if known is None:
            width, height = _side(image.get("width")), _side(image.get("height"))
            if not (width and height) and key not in coco.wrong:
                try:
                    height, width = image_size(self.tree.read(key))
                except (OSError, ValueError) as broken:
                    coco.wrong[key] = f"{key} cannot be read: {broken}"
            coco.pictures[key] = CocoPicture(self.file, width, height)
        if self.part:
            coco.splits[key] = self.part
        return key

    def _add(self, key: str, note: Mapping[str, Any]) -> None:
        where = f"{self.file}: annotation {str(note.get('id'))[:40]} of {key}"
        try:
            self._add_box(self.coco.pictures[key], note)
        except KeyError as lack:
            self.coco.wrong.setdefault(key, f"{where} has no {lack}")
        except (ValueError, TypeError) as wrong:
            self.coco.wrong.setdefault(key, f"{where} {wrong}")

    def _add_box(self, picture: CocoPicture, note: Mapping[str, Any]) -> None:
        """Add one annotation; a ValueError says what is wrong with it."""
        category = _id(note["category_id"])
        if category is None or category not in self.index:
            raise ValueError(f"names category {str(note['category_id'])[:40]}, which is not among the categories")
        left, top, wide, high = _numbers(note["bbox"])
        box = np.clip([left, top, left + wide, top + high], -FAR, FAR).astype(np.float32)
        edges = inside(box, width=picture.width, height=picture.height)
        if edges is None:
            raise ValueError(
                f"has a box ({left:g}, {top:g}, {wide:g}, {high:g}) not inside {picture.width} x {picture.height}"
            )
        region = note.get("segmentation") if self.regions else None
        if self.regions:
            if not region:
                raise ValueError("has no segmentation")
            picture.regions.append(parse_region(region))
        self.coco.cut += bool((edges != box).any())
        picture.boxes.append((float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])))
        picture.labels.append(self.index[category])
        picture.crowd.append(bool(note.get("iscrowd", 0)))


def _numbers(bbox: Any) -> tuple[float, float, float, float]:
    try:
        left, top, wide, high = (float(number) for number in bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"has the bbox {str(bbox)[:60]}, not four numbers") from None
    return left, top, wide, high


def _side(value: Any) -> int:
    """Pixels of a side, or 0 where the JSON does not say."""
    try:
        side = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if math.isfinite(side) and 0 < side < 1 << 31 else 0


def _place(name: str, file: str, part: str, places: Mapping[str, Sequence[str]]) -> str | None:
    """The key of an image: beside the JSON file, else in a folder of the same part, else wherever it is.

    The path may be of another machine: then the files that share most of its end, if it is one, or one of the part.
    """
    steps = [step for step in name.replace("\\", "/").split("/") if step not in ("", ".")]
    candidates = places.get(steps[-1], ()) if steps else ()
    if not candidates:
        return None
    shared = {key: _shared_end(key.split("/"), steps) for key in candidates}
    most = max(shared.values())
    found = [key for key in candidates if shared[key] == most]
    beside = f"{file.rpartition('/')[0]}/{'/'.join(steps)}".removeprefix("/")
    ordered = sorted(found, key=lambda key: (key != beside, not _is_of(key, part), "mask" in key, key.count("/"), key))
    if most < len(steps) and len(found) > 1 and [_is_of(key, part) for key in found].count(True) != 1:
        return None
    return ordered[0]


def _shared_end(a: Sequence[str], b: Sequence[str]) -> int:
    """How many steps two paths share at their ends."""
    same = [x == y for x, y in zip(reversed(a), reversed(b), strict=False)]
    return [*same, False].index(False)


def _is_of(key: str, part: str) -> bool:
    return bool(part) and any(given_split(step) == given_split(part) for step in key.split("/")[:-1])

"""Pictures with COCO's JSON files: boxes, polygons and run-length masks (Lin et al., ECCV 2014, and its format page).

Files are found by name: `annotations/instances_train2017.json`, or one JSON in each folder of pictures.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.dense import IGNORE, DenseSample
from selftaught.sources.annotated import NO_BOXES, Annotations, Boxes, inside, with_boxes, with_mask
from selftaught.sources.file_tree import LARGEST_TEXT, FileTree
from selftaught.sources.regions import Region, region_pixels
from selftaught.sources.splits import given_split

_MOST_FILES = 100
"""A folder with more JSON files has one for each picture, and is none of COCO's."""
_OTHER_KINDS = re.compile(r"caption|keypoint|image_info|panoptic|stuff")


@dataclass
class _Picture:
    """What the JSON says of one picture."""

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
    """What JSON files say, by key of the picture.

    Attributes:
        classes: names of the categories, by ascending id.
        splits: part that the name of a picture's JSON file gives; absent where it gives none.
        wrong: one clause for each picture with something wrong.
    """

    classes: tuple[str, ...]
    pictures: dict[str, _Picture]
    splits: dict[str, str]
    wrong: dict[str, str]


def find_coco(tree: FileTree, *, masks: bool = False) -> dict[str, str]:
    """The JSON files of one kind of annotation and the part each is for ("" where its name does not say).

    Where there are several kinds, boxes are looked for in detection_* and bbox_* before instances_*, masks in
    instances_*.
    """
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    files = [key for key in tree.keys if key.endswith(".json") and not _OTHER_KINDS.search(key)]
    if len(files) > _MOST_FILES:
        return {}
    for key in files:
        folder, _, name = key.rpartition("/")
        words = re.split(r"[_.-]", name.removesuffix(".json"))
        part = next((word for word in words if given_split(word)), None)
        # Roboflow's train/_annotations.coco.json has the part in the folder.
        above = next((step for step in reversed(folder.split("/")) if given_split(step)), "")
        kinds["_".join(word for word in words if word != part)][key] = part or above
    first = "instances" if masks else "detection", "bbox", "instances"
    order = sorted(kinds, key=lambda kind: (next((i for i, word in enumerate(first) if word in kind), 9), kind))
    return next(
        (kinds[kind] for kind in order if all(_is_coco(tree.read(file, most=LARGEST_TEXT)) for file in kinds[kind])), {}
    )


def _is_coco(data: bytes) -> bool:
    return all(word in data for word in (b'"images"', b'"annotations"', b'"categories"'))


def read_coco(tree: FileTree, files: Mapping[str, str], *, regions: bool = False) -> Coco:
    """Read JSON files; regions are kept only where they are asked for, as they take the most memory.

    Raises:
        ValueError: where a file is no COCO JSON at all; what is wrong with single pictures is listed in `wrong`.
    """
    whole = {}
    for file in files:
        try:
            found = json.loads(tree.read(file, most=LARGEST_TEXT))
            whole[file] = {name: list(found[name]) for name in ("images", "annotations", "categories")}
        except (OSError, ValueError, KeyError, TypeError) as broken:
            raise ValueError(
                f"{file} of {tree.where} is no COCO JSON with images, annotations and categories"
            ) from broken
    names: dict[int, str] = {}
    for file, content in whole.items():
        for category in content["categories"]:
            if names.setdefault(category["id"], category["name"]) != category["name"]:
                raise ValueError(f"{file} of {tree.where} gives category {category['id']} another name than the others")
    index = {number: i for i, number in enumerate(sorted(names))}
    coco = Coco(tuple(names[number] for number in sorted(names)), {}, {}, {})
    places = _places(tree)
    for file, part in files.items():
        try:
            _read_file(coco, whole.pop(file), file, part, index=index, places=places, regions=regions)
        except KeyError as lack:
            raise ValueError(f"{file} of {tree.where}: a picture or an annotation has no {lack}") from None
    return coco


def _places(tree: FileTree) -> dict[str, list[str]]:
    """Keys by the last part of their names."""
    places: dict[str, list[str]] = defaultdict(list)
    for key in tree.keys:
        places[key.rpartition("/")[2]].append(key)
    return places


def _read_file(
    coco: Coco,
    content: Mapping[str, Any],
    file: str,
    part: str,
    *,
    index: Mapping[int, int],
    places: Mapping[str, Sequence[str]],
    regions: bool,
) -> None:
    keys: dict[int, str] = {}
    for image in content["images"]:
        key = _place(image["file_name"], file, part, places)
        if key is None:
            key = image["file_name"]
            coco.wrong[key] = f"{file} names the picture {key}, which is missing"
        keys[image["id"]] = key
        coco.pictures[key] = _Picture(file, int(image["width"]), int(image["height"]))
        if part:
            coco.splits[key] = part
    for note in content["annotations"]:
        key = keys.get(note["image_id"], "")
        if not key:
            raise ValueError(
                f"{file}: annotation {note.get('id')} is of the picture {note['image_id']}, which it does not list"
            )
        try:
            _add(coco.pictures[key], note, index, regions=regions)
        except KeyError as lack:
            coco.wrong.setdefault(key, f"{file}: annotation {note.get('id')} of {key} has no {lack}")
        except (ValueError, TypeError) as wrong:
            coco.wrong.setdefault(key, f"{file}: annotation {note.get('id')} of {key} {wrong}")


def _place(name: str, file: str, part: str, places: Mapping[str, Sequence[str]]) -> str | None:
    """The key of a picture: beside the JSON file, else in a folder of the same part, else wherever it is."""
    found = [key for key in places.get(name.rpartition("/")[2], ()) if f"/{key}".endswith(f"/{name}")]
    beside = f"{file.rpartition('/')[0]}/{name}".removeprefix("/")
    ordered = sorted(found, key=lambda key: (key != beside, not _is_of(key, part), "mask" in key, key.count("/"), key))
    return ordered[0] if ordered else None


def _is_of(key: str, part: str) -> bool:
    return any(given_split(step) == given_split(part) for step in key.split("/")[:-1])


def _add(picture: _Picture, note: Mapping[str, Any], index: Mapping[int, int], *, regions: bool) -> None:
    """Add one annotation; a ValueError says what is wrong with it."""
    if note["category_id"] not in index:
        raise ValueError(f"names category {note['category_id']}, which is not among the categories")
    left, top, wide, high = (float(number) for number in note["bbox"])
    edges = inside(
        np.array([left, top, left + wide, top + high], np.float32), width=picture.width, height=picture.height
    )
    if edges is None:
        raise ValueError(
            f"has a box ({left:g}, {top:g}, {wide:g}, {high:g}) not inside {picture.width} x {picture.height}"
        )
    picture.boxes.append((float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])))
    picture.labels.append(index[note["category_id"]])
    picture.crowd.append(bool(note.get("iscrowd", 0)))
    if regions:
        region = note.get("segmentation")
        if not region:
            raise ValueError("has no segmentation")
        picture.regions.append(
            region if isinstance(region, dict) else [np.asarray(ring, np.float32).reshape(-1, 2) for ring in region]
        )


def coco_targets(tree: FileTree) -> tuple[dict[str, str], tuple[str, ...], dict[str, NDArray[np.int8]]]:
    """Splits, classes and which classes each picture shows, (K,) 1 or 0; a wrong annotation is an error."""
    coco = read_coco(tree, find_coco(tree))
    if coco.wrong:
        raise ValueError(f"{tree.where}: {next(iter(coco.wrong.values()))}; mend it")
    targets = {key: np.zeros(len(coco.classes), np.int8) for key in coco.pictures}
    for key, picture in coco.pictures.items():
        targets[key][picture.labels] = 1
    return coco.splits, coco.classes, targets


@final
@dataclass(kw_only=True)
class CocoBoxes(Annotations):
    """Boxes of COCO's JSON files; crowds are not to be counted."""

    coco: Coco

    def files(self, key: str) -> list[str]:
        return [self.coco.pictures[key].file]

    def sample(self, key: str) -> DenseSample:
        picture = self.coco.pictures[key]
        image = self.picture(key)
        _check_size(picture, key, image.shape[1:])
        if not picture.boxes:
            return with_boxes(image, NO_BOXES)
        edges = np.array(picture.boxes, np.float32)
        empty = (edges[:, 2:] - edges[:, :2]).min(1) <= 0
        return with_boxes(image, Boxes(edges, np.array(picture.labels, np.int64), np.array(picture.crowd) | empty))


@final
@dataclass(kw_only=True)
class CocoMasks(Annotations):
    """Class masks painted from COCO's regions: 0 is the background.

    Pixels of two classes, and those of crowds alone, are not told, as in torchvision's reference for segmentation.
    """

    coco: Coco

    def files(self, key: str) -> list[str]:
        return [self.coco.pictures[key].file]

    def sample(self, key: str) -> DenseSample:
        picture = self.coco.pictures[key]
        image = self.picture(key)
        _check_size(picture, key, image.shape[1:])
        shape = (picture.height, picture.width)
        mask, crowd = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        for region, label, is_crowd in zip(picture.regions, picture.labels, picture.crowd, strict=True):
            try:
                pixels = region_pixels(region, *shape)
            except ValueError as wrong:
                raise ValueError(f"{picture.file}: a region of {key} {wrong}") from None
            if is_crowd:
                crowd |= pixels
            else:
                mask[pixels & (mask != 0) & (mask != label + 1)] = IGNORE
                mask[pixels & (mask == 0)] = label + 1
        mask[crowd & (mask == 0)] = IGNORE
        return with_mask(image, mask, key)


def _check_size(picture: _Picture, key: str, shape: Sequence[int]) -> None:
    if tuple(shape) != (picture.height, picture.width):
        raise ValueError(
            f"{picture.file} says that {key} is {picture.width} x {picture.height} pixels, not {shape[1]} x {shape[0]}"
        )


def open_coco(tree: FileTree, *, masks: bool) -> CocoBoxes | CocoMasks | None:
    """Boxes or masks of COCO's JSON files; None where there are none."""
    files = find_coco(tree, masks=masks)
    if not files:
        return None
    coco = read_coco(tree, files, regions=masks)
    keys = sorted(coco.pictures)
    if masks:
        if len(coco.classes) + 1 > IGNORE:
            raise ValueError(f"{tree.where} has {len(coco.classes)} classes, and masks may have {IGNORE - 1} at most")
        classes = ("background", *coco.classes)
        return CocoMasks(tree=tree, keys=keys, splits=coco.splits, classes=classes, wrong=coco.wrong, coco=coco)
    return CocoBoxes(tree=tree, keys=keys, splits=coco.splits, classes=coco.classes, wrong=coco.wrong, coco=coco)

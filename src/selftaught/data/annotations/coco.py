"""Images with COCO's JSON files: boxes, polygons and run-length masks (Lin et al., ECCV 2014, and its format page).

Files are found by name: `annotations/instances_train2017.json`, or one JSON in each folder of images.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.base import NO_BOXES, Annotations, Boxes, with_boxes, with_mask
from selftaught.data.annotations.coco_json import Coco, CocoPicture, read_coco
from selftaught.data.annotations.coco_regions import region_pixels
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample
from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.splits import given_split

_MOST_FILES = 100
"""A folder with more JSON files has one per image and is not COCO."""
_OTHER_KINDS = re.compile(r"caption|keypoint|image_info|panoptic|stuff")


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
    return all(word in data for word in (b'"images"', b'"annotations"'))


def coco_targets(tree: FileTree) -> tuple[dict[str, str], tuple[str, ...], dict[str, NDArray[np.int8]]]:
    """Splits, classes and which classes each image shows, (K,) 1 or 0; a wrong annotation is an error."""
    coco = read_coco(tree, find_coco(tree))
    if coco.wrong:
        raise ValueError(f"{tree.where}: {next(iter(coco.wrong.values()))}; correct it")
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

    Pixels of two classes, and those of crowds alone, are ignored, as in torchvision's segmentation reference.
    """

    coco: Coco

    def files(self, key: str) -> list[str]:
        return [self.coco.pictures[key].file]

    def sample(self, key: str) -> DenseSample:
        image = self.picture(key)
        _check_size(self.coco.pictures[key], key, image.shape[1:])
        return with_mask(image, self.mask(key), key)

    def mask(self, key: str) -> NDArray[np.int64]:
        picture = self.coco.pictures[key]
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
        return mask


def _check_size(picture: CocoPicture, key: str, shape: Sequence[int]) -> None:
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
        return CocoMasks(
            tree=tree,
            keys=keys,
            splits=coco.splits,
            classes=classes,
            wrong=coco.wrong,
            stray=coco.stray,
            cut=coco.cut,
            coco=coco,
        )
    return CocoBoxes(
        tree=tree,
        keys=keys,
        splits=coco.splits,
        classes=coco.classes,
        wrong=coco.wrong,
        stray=coco.stray,
        cut=coco.cut,
        coco=coco,
    )

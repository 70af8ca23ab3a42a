"""YOLO's boxes: a text file for each image, beside it or in `labels/` where the image is in `images/`.

Each line is a class and a box (centre x, centre y, width, height) or a polygon (x, y, x, y ...), as shares of the
image's width and height (Redmon's darknet; the layout of Ultralytics). Classes are those of `data.yaml`, `classes.txt`
or `obj.names`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
import yaml
from numpy.typing import NDArray

from selftaught.data.annotations.base import NO_BOXES, Annotations, Boxes, with_boxes
from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.folder_names import read_folder_names

CLASS_LISTS = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")
_LARGEST_LIST = 8 << 20
_LOOKED_AT = 20
_OUTSIDE = 0.01
"""Share of a side by which a box may leave its image, and is cut."""


def label_files(tree: FileTree) -> dict[str, str]:
    """The text file of each image that has one of YOLO's; empty where the first ones are none."""
    pictures = [key for key in tree.keys if is_picture(key)]
    found = {}
    for key in pictures:
        stem = key.rpartition(".")[0]
        moved = re.sub(r"(^|/)images/", r"\1labels/", stem)
        file = next((f"{name}.txt" for name in (moved, stem) if f"{name}.txt" in tree), None)
        if file is not None and file.rpartition("/")[2] not in CLASS_LISTS:
            found[key] = file
    return found if _are_boxes(tree, list(found.values())[:_LOOKED_AT]) else {}


def _are_boxes(tree: FileTree, files: list[str]) -> bool:
    rows = 0
    for file in files:
        try:
            rows += len(parse_lines(tree.text(file) or ""))
        except (OSError, ValueError):
            return False
    return rows > 0


def parse_lines(text: str) -> list[tuple[int, NDArray[np.float64]]]:
    """Class and box (left, top, right, bottom as shares of the sides) of each line; a ValueError says what is wrong."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            label, values = int(words[0]), np.array(words[1:], np.float64)
        except ValueError:
            raise ValueError(f"line {number} is no class and numbers") from None
        is_whole = len(values) == 4 or (len(values) >= 6 and len(values) % 2 == 0)
        if label < 0 or not np.isfinite(values).all() or not is_whole:
            raise ValueError(f"line {number} is neither a box nor a polygon")
        if len(values) == 4:
            x, y, wide, high = values
            box = np.array([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2])
        else:
            xs, ys = values[::2], values[1::2]
            box = np.array([xs.min(), ys.min(), xs.max(), ys.max()])
        if box.min() < -_OUTSIDE or box.max() > 1 + _OUTSIDE or (box[2:] < box[:2]).any():
            raise ValueError(f"line {number} leaves the image; YOLO's numbers are shares of its sides, from 0 to 1")
        found.append((label, box.clip(0, 1)))
    return found


def read_classes(tree: FileTree) -> tuple[str, ...]:
    """Names of the classes, of the first list that is found; empty where there is none."""
    for key in tree.keys:
        if key.rpartition("/")[2] in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml"):
            return _of_yaml(tree, key)
    for name in CLASS_LISTS:
        for key in tree.keys:
            if key.rpartition("/")[2] == name:
                return tuple(line.strip() for line in (tree.text(key) or "").splitlines() if line.strip())
    return ()


def _of_yaml(tree: FileTree, key: str) -> tuple[str, ...]:
    try:
        found = yaml.safe_load(tree.read(key, most=_LARGEST_LIST))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError(f"{key} of {tree.where} is no YAML; correct or remove it") from None
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, dict):
        try:
            numbered = {int(number): str(name) for number, name in names.items()}
        except (TypeError, ValueError):
            numbered = {}
        names = [numbered.get(i, str(i)) for i in range(max(numbered, default=-1) + 1)]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{key} of {tree.where} has no list `names` of classes; add one, or remove it")
    return tuple(map(str, names))


@final
@dataclass(kw_only=True)
class YoloBoxes(Annotations):
    """Boxes of YOLO's text files; an empty file is an image without objects."""

    label_of: dict[str, str]

    def __post_init__(self) -> None:
        self._boxes = {}
        for key in self.keys:
            file = self.label_of[key]
            try:
                found = parse_lines(self.tree.text(file) or "")
            except (OSError, ValueError) as wrong:
                self.wrong[key] = f"{file}: {wrong}"
                continue
            unknown = next((label for label, _ in found if label >= len(self.classes)), None)
            if unknown is not None:
                self.wrong[key] = f"{file} names the class {unknown}, but there are {len(self.classes)}"
                continue
            self._boxes[key] = found

    def files(self, key: str) -> list[str]:
        return [self.label_of[key]]

    def sample(self, key: str) -> DenseSample:
        image = self.picture(key)
        if not self._boxes[key]:
            return with_boxes(image, NO_BOXES)
        high, wide = image.shape[1:]
        shares = np.stack([box for _, box in self._boxes[key]])
        edges = (shares * [wide, high, wide, high]).astype(np.float32)
        cut = np.clip(edges, 0, np.array([wide, high, wide, high], np.float32))
        labels = np.array([label for label, _ in self._boxes[key]], np.int64)
        return with_boxes(image, Boxes(cut, labels, (cut[:, 2:] - cut[:, :2]).min(1) <= 0))

    def targets(self) -> dict[str, NDArray[np.int8]]:
        """(K,) of each image: 1 where it shows the class, 0 where not."""
        found = {}
        for key, boxes in self._boxes.items():
            row = found[key] = np.zeros(len(self.classes), np.int8)
            row[[label for label, _ in boxes]] = 1
        return found


def open_yolo(tree: FileTree, *, masks: bool) -> YoloBoxes | None:
    """Boxes of YOLO's text files, or None; without a list of classes these are their numbers."""
    label_of = {} if masks else label_files(tree)
    if not label_of:
        return None
    keys = sorted(label_of)
    classes = read_classes(tree)
    if not classes:
        most = -1
        for key in keys:
            try:
                most = max([most, *(label for label, _ in parse_lines(tree.text(label_of[key]) or ""))])
            except (OSError, ValueError):
                continue
        classes = tuple(map(str, range(most + 1)))
    return YoloBoxes(tree=tree, keys=keys, splits=read_folder_names(keys).splits, classes=classes, label_of=label_of)

"""Folders of images and of their masks: which folder is which, and what the numbers or colours of a mask mean.

Such as `images/train/a.jpg` with `masks/train/a.png` and a `classes.txt` (CamVid as SegNet gives it, ADE20K), or
`train/a.png` with `trainannot/a.png`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.base import Annotations, with_mask
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample
from selftaught.data.annotations.paired_folders import Pairs, find_pairs
from selftaught.data.decode.image import decode_indices
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.folder_names import read_folder_names

_MASKS = re.compile(r"(masks?|labels?|annotations?|annot|semantic|segmentations?|segmentation(class|object)\w*|gt)$")
_ENDS = re.compile(r"(annot|_masks?|_labels?|_annotations?)$")
_FILE_ENDS = re.compile(r"(_L|_masks?|_labels?|_gt)$")
_CLASSES = re.compile(r"(\w*classes|class_?names|class_dict|labels|label_colou?rs)\.(txt|csv)$")
_UNLABELLED = frozenset(("unlabelled", "unlabeled", "void", "ignore", "ignored"))


def find_masks(keys: Sequence[str]) -> Pairs:
    """Folders named as masks are, and the mask of each image."""
    return find_pairs(keys, folders=_MASKS, ends=_ENDS, file_ends=_FILE_ENDS)


class MaskClass(NamedTuple):
    """One line of a list of classes: the number in the masks, the name, the colour in colour masks."""

    value: int
    name: str
    colour: tuple[int, int, int] | None


@final
@dataclass(kw_only=True)
class MaskFolder(Annotations):
    """Masks whose pixels are numbers of classes, or their colours."""

    pairs: dict[str, str]
    listed: list[MaskClass]
    list_file: str

    def __post_init__(self) -> None:
        numbers = {name: number for number, name in enumerate(self.classes)}
        self._index = {c.value: numbers.get(c.name, IGNORE) for c in self.listed}
        self._index.setdefault(IGNORE, IGNORE)
        self._by_colour = {_packed(c.colour): numbers.get(c.name, IGNORE) for c in self.listed if c.colour}

    def files(self, key: str) -> list[str]:
        return [self.list_file, *([self.pairs[key]] if key in self.pairs else [])]

    def sample(self, key: str) -> DenseSample:
        mask = self.mask(key)
        return with_mask(self.picture(key), mask, self.pairs[key])

    def mask(self, key: str) -> NDArray[np.int64]:
        file = self.pairs[key]
        try:
            pixels = decode_indices(self.tree.read(file)).astype(np.int64)
        except (OSError, ValueError) as broken:
            raise ValueError(f"{file} cannot be read: {broken}") from None
        if colours := pixels.ndim == 3:
            if not self._by_colour:
                raise ValueError(f"{file} is an image in colour, and {self.list_file} names no colours of classes")
            pixels = (pixels << np.array((16, 8, 0))).sum(2)
        index = self._by_colour if colours else self._index
        return translate(pixels, index, file=file, where=self.list_file, colours=colours)


def _packed(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def translate(
    pixels: NDArray[np.int64], index: dict[int, int], *, file: str, where: str, colours: bool = False
) -> NDArray[np.int64]:
    """Values of a mask (H, W) to numbers of classes; a value that `index` lacks is an error that names the file."""
    values, places = np.unique(pixels, return_inverse=True)
    unknown = [int(value) for value in values if int(value) not in index]
    if unknown:
        raise ValueError(
            f"{file} holds the class {unknown[0]:{'#08x' if colours else 'd'}}, which {where} does not name"
        )
    return np.array([index[int(value)] for value in values], np.int64)[places].reshape(pixels.shape)


def open_mask_folder(tree: FileTree, *, masks: bool) -> MaskFolder | None:
    """The masks of a folder; None where there are none, or boxes were asked for."""
    pictures = [key for key in tree.keys if is_picture(key)]
    found = find_masks(pictures)
    if not masks or not found.pairs:
        return None
    lists = [key for key in tree.keys if _CLASSES.match(key.rpartition("/")[2].lower())]
    if not lists:
        raise ValueError(
            f"{tree.where} has masks in {found.folders[0]}, but no list of their classes; add a classes.txt with a "
            "line for each class: number, tab, name"
        )
    file = min(lists, key=lambda key: (key.count("/"), key))
    listed = parse_classes(tree.text(file) or "", file)
    keys = found.belong(pictures)
    return MaskFolder(
        tree=tree,
        keys=keys,
        splits=read_folder_names(keys).splits,
        classes=tuple(c.name for c in listed if c.name.lower() not in _UNLABELLED),
        wrong={key: f"{key} has no mask in {found.folders[0]}" for key in keys if key not in found.pairs},
        pairs=found.pairs,
        listed=listed,
        list_file=file,
    )


def parse_classes(text: str, file: str) -> list[MaskClass]:
    """Classes of a list: lines "number name", "red green blue name" or names alone, or a table name,r,g,b.

    Pixels of a class named unlabelled, void or ignore, and of number 255, count neither for nor against.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if file.endswith(".csv"):
        rows = list(csv.reader(io.StringIO("\n".join(lines))))
        rows = [row for row in rows if len(row) >= 4 and all(cell.strip().isdecimal() for cell in row[1:4])]
        found = [MaskClass(i, row[0].strip(), _colour(row[1:4])) for i, row in enumerate(rows)]
    else:
        found = [_class_of(line, i) for i, line in enumerate(lines)]
    names, values = [c.name for c in found], [c.value for c in found]
    if not found or len(set(names)) < len(names) or len(set(values)) < len(values):
        raise ValueError(f"{file} must name each class and each number once, with a line for each class")
    if len(found) > IGNORE:
        raise ValueError(f"{file} names {len(found)} classes, and masks may have {IGNORE} at most")
    return sorted(found)


def _class_of(line: str, number: int) -> MaskClass:
    if match := re.match(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(.+)", line):
        return MaskClass(number, match[4].strip(), _colour(match.groups()[:3]))
    if match := re.match(r"(\d+)[\s,:]+(.+)", line):
        return MaskClass(int(match[1]), match[2].strip(), None)
    return MaskClass(number, line, None)


def _colour(cells: Sequence[str]) -> tuple[int, int, int]:
    red, green, blue = (int(cell) for cell in cells)
    return red, green, blue

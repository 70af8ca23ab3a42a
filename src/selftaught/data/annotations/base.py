"""Boxes and masks that lie beside pictures: what each format must tell, and both parts as a probe reads them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.config import read_range
from selftaught.core.files import digest
from selftaught.data.annotations.dense_sample import Dense, DenseSample
from selftaught.data.decode.image import USUAL, Decoding, decode_image
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.splits import choose_split, own_part, told, uniform
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.torchvision_names import VOC_NAMES
from selftaught.data.sources.value_range import range_for

SLACK = 1.0
"""Pixels that a box may lie outside its picture, and is cut by: annotations round."""
FAR = 1e9
"""Pixels; no picture is as large, and numbers beyond have no place in float32."""
_ADVICE = "mend it, or leave such pictures out with --skip-broken"


class Boxes(NamedTuple):
    """K boxes of one picture: left, top, right, bottom edge in pixels (K, 4), class (K,), not to be counted (K,)."""

    edges: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]


NO_BOXES = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


@dataclass(kw_only=True)
class Annotations(ABC):
    """What a data set says of its pictures.

    Attributes:
        keys: of the pictures it speaks of, sorted.
        splits: the data's own part of a picture, by key.
        wrong: what is wrong with the annotation of a picture, by key: one clause that names the file.
        stray: what is wrong with annotations that belong to no picture.
        cut: boxes that leave their picture by up to `SLACK` and are cut to it.
        decoding: of all pictures.
    """

    tree: FileTree
    keys: list[str]
    splits: Mapping[str, str]
    classes: tuple[str, ...]
    wrong: dict[str, str] = field(default_factory=dict)
    stray: Sequence[str] = ()
    cut: int = 0
    decoding: Decoding = USUAL

    @abstractmethod
    def files(self, key: str) -> list[str]:
        """The files that hold the annotation of a picture."""

    @abstractmethod
    def sample(self, key: str) -> DenseSample:
        """A picture with its boxes or its mask; a ValueError names the file where something is wrong."""

    def picture(self, key: str) -> Tensor:
        """(3, H, W) uint8. As stored: annotations are drawn on the pixels of the file, whatever its EXIF says."""
        try:
            pixels = decode_image(self.tree.read(key), upright=False, decoding=self.decoding)
        except (OSError, ValueError) as broken:
            raise ValueError(f"{key} cannot be read: {broken}") from None
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def with_boxes(image: Tensor, boxes: Boxes) -> DenseSample:
    """A sample with boxes."""
    return DenseSample(
        image=image,
        boxes=torch.from_numpy(boxes.edges),
        labels=torch.from_numpy(boxes.labels),
        ignore=torch.from_numpy(boxes.ignore),
    )


def with_mask(image: Tensor, mask: NDArray[np.int64], file: str) -> DenseSample:
    """A sample with a mask (H, W), of the size of its picture."""
    if image.shape[1:] != mask.shape:
        high, wide = image.shape[1:]
        raise ValueError(f"{file} is {mask.shape[1]} x {mask.shape[0]} pixels, but its picture {wide} x {high}")
    sample = with_boxes(image, NO_BOXES)
    return DenseSample(
        image=image, boxes=sample.boxes, labels=sample.labels, ignore=sample.ignore, mask=torch.from_numpy(mask)
    )


def inside(edges: NDArray[np.float32], *, width: float, height: float) -> NDArray[np.float32] | None:
    """The box (4,) cut to its picture; None where it is reversed or lies outside by more than `SLACK`."""
    left, top, right, bottom = edges
    if not (-SLACK <= left <= right <= width + SLACK and -SLACK <= top <= bottom <= height + SLACK):
        return None
    return np.clip(edges, 0, np.array([width, height, width, height], np.float32))


class AnnotatedSamples:
    """Some pictures of annotated data; see `DenseSamples`."""

    def __init__(self, annotations: Annotations, keys: list[str], skipped: list[tuple[str, str]]) -> None:
        self.classes = annotations.classes
        self.skipped = skipped
        self.keys: Sequence[str] = keys
        files = sorted({file for key in keys for file in annotations.files(key)})
        kind = f"{type(annotations).__name__} {annotations.classes}"
        decoded = repr(annotations.decoding)
        self.fingerprint = digest([kind, decoded, *keys, annotations.tree.fingerprint([*keys, *files])])
        self._annotations = annotations

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, i: int) -> DenseSample:
        """The picture of row `i`."""
        try:
            return self._annotations.sample(self.keys[i])
        except ValueError as wrong:
            raise ValueError(f"{self._annotations.tree.where}: {wrong}; {_ADVICE}") from None


@final
class _Pictures(Source):
    """Some pictures of a tree, of which nothing but the depth is asked."""

    def __init__(self, tree: FileTree, keys: list[str]) -> None:
        self.name = tree.where
        self.provides = frozenset({"image"})
        self.classes = None
        self.entries = [Entry(key) for key in keys]
        self.fingerprint = tree.fingerprint(keys)
        self._tree = tree

    def read(self, i: int) -> bytes:
        return self._tree.read(self.entries[i].key)


def open_annotated(
    data: str,
    *,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    skip_broken: bool,
    download: bool,
    value_range: str,
    max_image_pixels: int,
) -> Dense:
    """See `selftaught.data.annotations.dense_sample.open_dense`."""
    tree = _tree(data, download=download)
    annotations = _find(tree, needs)
    halves: dict[str, AnnotatedSamples] = {}
    for split in ("train", "test"):
        chosen = choose_split(
            annotations.keys, annotations.splits, split=split, seed=seed, held_out=held_out, labelled_only=True
        )
        keys = [annotations.keys[i] for i in chosen]
        if split == "train":
            known = [key for key in keys if key in tree]
            found = read_range(range_for(value_range, _Pictures(tree, known)))
            annotations.decoding = Decoding(found, max_image_pixels)
        halves[split] = _without_broken(annotations, keys) if skip_broken else _all(annotations, keys)
    drawn = _drawn_instead(annotations, halves, held_out)
    for split, half in halves.items():
        if not len(half):
            raise ValueError(f"{tree.where} has no usable image with annotations in its {split} part; give other data")
    halves["train"].skipped += [(why.partition(":")[0], why.partition(": ")[2]) for why in annotations.stray]
    part = "" if drawn else own_part(annotations.keys, annotations.splits, "test")
    return Dense(
        train=halves["train"],
        test=halves["test"],
        classes=annotations.classes,
        test_is=told(part, seed=seed, test=len(halves["test"]), train=len(halves["train"])),
        notes=(*drawn, *_notes(annotations)),
    )


def _drawn_instead(annotations: Annotations, halves: dict[str, AnnotatedSamples], share: float) -> tuple[str, ...]:
    """Where every image of one part was left out, a share of the other takes its place; what is to be said of it."""
    empty = [split for split, half in halves.items() if not len(half) and half.skipped]
    whole = next((half.keys for half in halves.values() if len(half) > 1), None)
    if not empty or whole is None:
        return ()
    first = sorted(whole, key=lambda key: uniform(0, key))[: min(len(whole) - 1, max(1, round(share * len(whole))))]
    chosen = {"test": first, "train": [key for key in whole if key not in set(first)]}
    for split, half in halves.items():
        halves[split] = AnnotatedSamples(annotations, [key for key in whole if key in set(chosen[split])], half.skipped)
    return (f"no image of the {empty[0]} part can be used; {len(first)} of the others are held out instead",)


def _notes(annotations: Annotations) -> tuple[str, ...]:
    if not annotations.cut:
        return ()
    return (f"{annotations.cut} boxes leave their picture by up to {SLACK:g} pixel and were cut to it",)


def _tree(data: str, *, download: bool) -> FileTree:
    if data.lower() in VOC_NAMES:
        from selftaught.data.sources.torchvision_data import torchvision_voc

        return torchvision_voc(data.lower(), download=download)
    return open_tree(data)


def _find(tree: FileTree, needs: frozenset[str]) -> Annotations:
    """The annotations of the kind that is needed, in the first format that has them."""
    from selftaught.data.annotations.coco import open_coco
    from selftaught.data.annotations.mask_folder import open_mask_folder
    from selftaught.data.annotations.voc import open_voc

    for opened in (open_voc, open_coco, open_mask_folder):
        found: Annotations | None = opened(tree, masks="mask" in needs)
        if found is not None:
            return found
    kind, folders = ("masks", ", or folders images and masks with a classes.txt") if "mask" in needs else ("boxes", "")
    raise ValueError(
        f"{kind} are needed, but {tree.where} holds none; {_other_form(tree.keys)}give a VOC tree (JPEGImages, "
        f"Annotations, ImageSets), pictures with COCO's JSON files{folders}"
    )


def _other_form(keys: Sequence[str]) -> str:
    """What to do with the annotations of other tools that lie there, or ""."""
    from selftaught.data.files.file_kinds import is_picture

    pictures = {key.rpartition(".")[0] for key in keys if is_picture(key)}
    stems = pictures | {re.sub(r"(^|/)images/", r"\1labels/", stem) for stem in pictures}
    beside = [key for key in keys if key.endswith((".txt", ".xml", ".json")) and key.rpartition(".")[0] in stems]
    kinds = Counter(key.rpartition(".")[2] for key in beside)
    if not kinds or 2 * max(kinds.values()) < len(pictures):
        return ""
    kind = kinds.most_common(1)[0][0]
    first = next(key for key in beside if key.endswith(kind))
    if kind == "xml":
        return f"{first} and the like are labelImg's: put them into a folder Annotations, pictures into JPEGImages; or "
    name = "YOLO's" if kind == "txt" else "LabelMe's"
    return f"{first} and the like are {name}, which are not read: have their tool write COCO's JSON; or "


def _all(annotations: Annotations, keys: list[str]) -> AnnotatedSamples:
    wrong = [*annotations.stray, *(annotations.wrong[key] for key in keys if key in annotations.wrong)]
    if wrong:
        more = f" (and {len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
        raise ValueError(f"{annotations.tree.where}: {wrong[0]}{more}; {_ADVICE}")
    return AnnotatedSamples(annotations, keys, [])


def _without_broken(annotations: Annotations, keys: list[str]) -> AnnotatedSamples:
    def trouble(key: str) -> str | None:
        if key in annotations.wrong:
            return annotations.wrong[key]
        try:
            annotations.sample(key)
        except ValueError as wrong:
            return str(wrong)
        return None

    with ThreadPoolExecutor(4) as pool:
        reasons = list(pool.map(trouble, keys))
    kept = [key for key, why in zip(keys, reasons, strict=True) if why is None]
    return AnnotatedSamples(annotations, kept, [(k, why) for k, why in zip(keys, reasons, strict=True) if why])

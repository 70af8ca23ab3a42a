"""Images with boxes or masks: a path or a name becomes both parts as a probe reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.progress import say_once
from selftaught.core.settings.values import COLOURS, read_range
from selftaught.data.annotations.base import SLACK, Annotations
from selftaught.data.annotations.dense_sample import DenseSample, DenseSamples
from selftaught.data.annotations.find import find_annotations
from selftaught.data.decode.image import Decoding
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.groups import find_groups
from selftaught.data.files.labels_file import LABELS_FILE
from selftaught.data.files.splits import choose_split, own_part, told, uniform
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import text_in
from selftaught.data.sources.torchvision_names import VOC_NAMES
from selftaught.data.sources.value_range import range_for
from selftaught.evaluation.data.base import Asked, DataKind, TwoParts

_ADVICE = "correct it, or leave such images out with --skip-broken"


@dataclass(frozen=True, kw_only=True)
class Dense(TwoParts):
    """Data for probes of boxes and masks; classes are those of boxes or of pixels.

    Attributes:
        groups: (M,) numbers of the groups that test images belong to, over which intervals are; None of none.
    """

    train: DenseSamples
    test: DenseSamples
    groups: NDArray[np.int64] | None = None

    def only(self, rows: NDArray[np.int64]) -> Dense:
        """The same data with these rows (K,) of the training images."""
        return replace(self, train=DenseSubset(self.train, rows))


class DenseSubset:
    """Rows of `base` under new numbers; see `DenseSamples`."""

    def __init__(self, base: DenseSamples, rows: np.ndarray) -> None:
        self.classes = base.classes
        self.fingerprint = hashlib.sha256(base.fingerprint.encode() + rows.tobytes()).hexdigest()
        self.skipped = base.skipped
        self.keys: Sequence[str] = [base.keys[i] for i in rows]
        self._base, self._rows = base, rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, i: int) -> DenseSample:
        """As `base` reads it."""
        return self._base.read(int(self._rows[i]))


class AnnotatedSamples:
    """Some images of annotated data; see `DenseSamples`."""

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
        """The image of row `i`."""
        try:
            return self._annotations.sample(self.keys[i])
        except ValueError as wrong:
            raise ValueError(f"{self._annotations.tree.where}: {wrong}; {_ADVICE}") from None


@final
class _Pictures(Source):
    """Some images of a tree, of which nothing but the depth is asked."""

    def __init__(self, tree: FileTree, keys: list[str]) -> None:
        self.name = tree.where
        self.provides = frozenset({"image"})
        self.classes = None
        self.entries = [Entry(key) for key in keys]
        self.fingerprint = tree.fingerprint(keys)
        self._tree = tree

    def read(self, i: int) -> bytes:
        return self._tree.read(self.entries[i].key)


def open_dense(
    data: str,
    *,
    needs: frozenset[str],
    seed: int = 0,
    held_out: float = 0.1,
    skip_broken: bool = False,
    download: bool = False,
    value_range: str = "auto",
    max_image_pixels: int = 64_000_000,
    groups: str | None = None,
) -> Dense:
    """Both parts of a VOC tree, a COCO data set or a folder of images and masks, each perhaps in a zip.

    Args:
        data: folder or zip; voc2007 and voc2012 are those that torchvision keeps.
        needs: {"box"} or {"mask"}; `classes` are those of boxes, or of pixels with the background where there is one.
        seed: of the share that is the test part where the data have none.
        held_out: that share, in (0, 1).
        skip_broken: leave out and list images that cannot be read, that lack a mask, or whose annotations name an
            unknown class or are outside the image; each is an error otherwise. All files are read once to find them.
        download: allow torchvision's data sets to be downloaded.
        value_range: LOW,HIGH that images of more than 8 bits are shown by; auto chooses it from the training part.
        max_image_pixels: larger images cannot be read.
        groups: column of labels.csv or CSV file with the groups of images, of which none is in both parts.
    """
    tree = _tree(data, download=download)
    annotations = find_annotations(tree, needs)
    halves: dict[str, AnnotatedSamples] = {}
    table = text_in(tree, LABELS_FILE)
    group_of = {} if groups is None else find_groups(annotations.keys, groups, table, tree.where)[0]
    for split in ("train", "test"):
        chosen = choose_split(
            annotations.keys,
            annotations.splits,
            split=split,
            seed=seed,
            held_out=held_out,
            labelled_only=True,
            groups=group_of,
        )
        keys = [annotations.keys[i] for i in chosen]
        if split == "train":
            known = [key for key in keys if key in tree]
            found = read_range(range_for(value_range, _Pictures(tree, known)))
            annotations.decoding = Decoding(found, max_image_pixels)
        halves[split] = _without_broken(annotations, keys) if skip_broken else _all(annotations, keys)
    drawn = _drawn_instead(annotations, halves, held_out)
    _refuse_empty(tree, halves)
    halves["train"].skipped += [(why.partition(":")[0], why.partition(": ")[2]) for why in annotations.stray]
    part = "" if drawn else own_part(annotations.keys, annotations.splits, "test")
    return Dense(
        train=halves["train"],
        test=halves["test"],
        classes=annotations.classes,
        test_is=told(part, seed=seed, test=len(halves["test"]), train=len(halves["train"])),
        notes=(*drawn, *_notes(annotations)),
        groups=_numbers(halves["test"].keys, group_of),
    )


def _open(asked: Asked) -> Dense:
    """`open_dense` as a probe asks for it."""
    if asked.data.channels != COLOURS:
        raise ValueError(
            f"boxes and masks are those of images in colours, and the encoder takes {asked.data.channels} channels; "
            "choose a probe or a model of classes, such as linear"
        )
    dense = open_dense(
        asked.data.path,
        needs=asked.needs,
        held_out=asked.held_out,
        skip_broken=asked.skip_broken,
        download=asked.data.download,
        value_range=asked.data.value_range,
        groups=asked.data.groups,
        max_image_pixels=asked.data.max_image_pixels,
    )
    for note in dense.notes:
        say_once(f"{asked.data.path}: {note}")
    return dense


def _refuse_empty(tree: FileTree, halves: Mapping[str, AnnotatedSamples]) -> None:
    for split, half in halves.items():
        if not len(half):
            raise ValueError(f"{tree.where} has no usable image with annotations in its {split} part; give other data")


def _numbers(keys: Sequence[str], group_of: Mapping[str, str]) -> NDArray[np.int64] | None:
    """The group of each image as a number; one without a group is one of its own."""
    if not group_of:
        return None
    names = [("group", group_of[key]) if key in group_of else ("image", key) for key in keys]
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], np.int64)


def _check(asked: Asked) -> None:
    _open(asked)


DENSE = DataKind(open=_open, check=_check, skips_broken=True)
"""For probes that need "box" or "mask"."""


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
    return (f"{annotations.cut} boxes leave their image by up to {SLACK:g} pixel and were cut to it",)


def _tree(data: str, *, download: bool) -> FileTree:
    if data.lower() in VOC_NAMES:
        from selftaught.data.sources.torchvision_data import torchvision_voc

        return torchvision_voc(data.lower(), download=download)
    return open_tree(data)


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

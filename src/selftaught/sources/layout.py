"""Labels and splits of files, from `labels.csv`, from annotations, or from the folders they lie in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from selftaught.sources.base import Entry
from selftaught.sources.multi_label import natural, read_many
from selftaught.sources.splits import choose_split, given_split, own_part

if TYPE_CHECKING:
    from selftaught.sources.file_tree import FileTree

LABELS_FILE = "labels.csv"
CLASSES_FILE = "classes.txt"


@dataclass(frozen=True)
class Layout:
    """Labels and splits of some keys; a key that is absent has none.

    Attributes:
        many: a picture may be of several classes; then `labels` is empty.
        targets: for them, (K,) int8 of a key: 1 of the class, 0 not, -1 not said; None where they were not asked for.
    """

    labels: Mapping[str, str]
    splits: Mapping[str, str]
    classes: tuple[str, ...] | None
    many: bool = False
    targets: Mapping[str, NDArray[np.int8]] | None = None


def tree_layout(tree: FileTree, pictures: list[str], needs: frozenset[str]) -> tuple[list[str], Layout]:
    """The keys of `pictures` that are no masks, and their layout; annotations are read only where labels are needed."""
    from selftaught.sources.coco import coco_targets, find_coco
    from selftaught.sources.mask_folder import find_masks
    from selftaught.sources.voc import VocTree

    masks = find_masks(pictures)
    keys = [key for key in pictures if not masks.holds(key)]
    table = tree.text(LABELS_FILE)
    if table is not None:
        return keys, read_layout(keys, table=table, names=None, where=tree.where)
    voc = VocTree.find(tree)
    if voc is not None:
        parts = voc.parts("Main") or voc.parts("Segmentation")
        splits = {key: parts.get(key, "unlabelled") for key in keys}
        if voc.is_annotated and "labels" in needs:
            return keys, Layout({}, splits, voc.classes, True, voc.targets())
        return keys, Layout({}, splits, None, voc.is_annotated)
    layout = read_layout(keys, table=None, names=tree.text(CLASSES_FILE), where=tree.where)
    if masks.pairs:  # folders of pictures with masks are no classes
        layout = Layout({}, layout.splits, None)
    if needs & {"label", "labels"} and layout.classes is None and find_coco(tree):
        layout = replace(layout, many=True)
        if "labels" in needs:
            splits, classes, targets = coco_targets(tree)
            layout = Layout({}, splits, classes, True, targets)
    return keys, layout


def read_layout(keys: Sequence[str], *, table: str | None, names: str | None, where: str) -> Layout:
    """The layout of files.

    Args:
        keys: relative paths with "/".
        table: text of `labels.csv` (columns file, label and perhaps split), which goes before the folders; see
            `multi_label` for several classes of a file.
        names: text of `classes.txt`, lines of a folder's name, a tab and what to call the class.
        where: the folder or archive, for messages.
    """
    if table is not None:
        return _from_table(keys, table, where)
    labels, splits = folder_layout(keys)
    called = dict(line.split("\t", 1) for line in (names or "").splitlines() if "\t" in line)
    # Classes keep the order of their folders, as torchvision's ImageFolder numbers them.
    folders = sorted(set(labels.values()))
    nice = {folder: called.get(folder, folder).strip() for folder in folders}
    if len(set(nice.values())) < len(folders):
        nice = {folder: folder for folder in folders}
    return Layout({key: nice[label] for key, label in labels.items()}, splits, tuple(nice.values()) or None)


def choose_entries(
    keys: Sequence[str], layout: Layout, *, split: str, needs: frozenset[str], seed: int, held_out: float, where: str
) -> list[Entry]:
    """The labelled entries of one split, in the order of `keys`."""
    is_labelled = bool(needs & {"label", "labels"})
    chosen = choose_split(keys, layout.splits, split=split, seed=seed, held_out=held_out, labelled_only=is_labelled)
    if not chosen:
        raise ValueError(
            f"{where} holds {len(keys)} files, but none in its {split} part; add some or give another folder"
        )
    number = {name: i for i, name in enumerate(layout.classes or ())}
    return [Entry(keys[i], number.get(layout.labels.get(keys[i], ""))) for i in chosen]


def own_part_of(keys: Sequence[str], layout: Layout, split: str) -> str:
    """The data's own name of the split, "" where it was drawn."""
    return own_part(keys, layout.splits, split)


def _from_table(keys: Sequence[str], table: str, where: str) -> Layout:
    reader = csv.DictReader(io.StringIO(table.removeprefix("\ufeff")))
    columns = [name or "" for name in reader.fieldnames or ()]
    known = set(keys)
    rows = [(PurePosixPath(row.get("file") or "").as_posix(), row) for row in reader]
    rows = [(key, row) for key, row in rows if key in known]
    many = read_many(columns, [row for _, row in rows]) if "file" in columns else None
    if many is None and not {"file", "label"} <= set(columns):
        raise ValueError(
            f"{LABELS_FILE} of {where} must have the columns file and label (and perhaps split), or a column of 0 and "
            f"1 for each class, got {', '.join(columns) or 'an empty file'}"
        )
    if not rows:
        raise ValueError(
            f"{LABELS_FILE} of {where} names none of the {len(keys)} files beside it (such as {keys[0]}); "
            "its column file must hold paths relative to it"
        )
    splits = {key: row["split"] for key, row in rows if row.get("split")}
    if many is not None:
        classes, targets = many
        return Layout({}, splits, classes, True, dict(zip([key for key, _ in rows], targets, strict=True)))
    labels = {key: row["label"] for key, row in rows if row["label"]}
    return Layout(labels, splits, tuple(sorted(set(labels.values()), key=natural)) or None)


def folder_layout(keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Splits are the first folders named so (a level or two down); classes the next ones, where there are several."""
    folders = [key.split("/")[:-1] for key in keys]
    for depth in range(3):
        found = [given_split(parts[depth]) if len(parts) > depth else None for parts in folders]
        if len(set(found) - {None}) > 1 and ("train" in found or "unlabelled" in found):
            splits = {key: str(part) for key, part in zip(keys, found, strict=True) if part}
            inside = [parts[depth + 1 :] if part else [] for parts, part in zip(folders, found, strict=True)]
            return _classes(keys, inside), splits
    return _classes(keys, folders), {}


def _classes(keys: Sequence[str], folders: list[list[str]]) -> dict[str, str]:
    depth = 0  # folders that all files share say nothing
    while len({parts[depth] if len(parts) > depth else "" for parts in folders if parts}) == 1 and depth < 8:
        depth += 1
    labels = {key: parts[depth] for key, parts in zip(keys, folders, strict=True) if len(parts) > depth}
    return labels if len(set(labels.values())) > 1 else {}

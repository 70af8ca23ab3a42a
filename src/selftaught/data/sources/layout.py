"""Labels and splits of files, from `labels.csv`, from annotations, or from folder names."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.folder_names import read_folder_names
from selftaught.data.files.groups import crossing, find_groups
from selftaught.data.files.hints import Hints
from selftaught.data.files.labels_file import LABELS_FILE, read_table, text_of
from selftaught.data.files.splits import EmptyPart, choose_split, given_split
from selftaught.data.files.tables.found_tables import find_table
from selftaught.data.sources.base import Entry, Source

CLASSES_FILE = "classes.txt"


@dataclass(frozen=True)
class Layout:
    """Labels and splits of some keys; a key that is absent has none.

    Attributes:
        many: an image may be of several classes; then `labels` is empty.
        targets: for them, (K,) int8 of a key: 1 of the class, 0 not, -1 not said; None where they were not asked for.
        notes: sentences for people on how the files were read.
        class_notes: such sentences for those who use the classes.
        split_notes: such sentences for those who draw parts.
        wrong: why the folders cannot be classes, or "".
        groups: which keys belong together, such as clips of one person.
        missing: (path, reason) of what lists or tables name and is not there.
        has_table: whether `labels.csv` says so.
    """

    labels: Mapping[str, str]
    splits: Mapping[str, str]
    classes: tuple[str, ...] | None
    many: bool = False
    targets: Mapping[str, NDArray[np.int8]] | None = None
    notes: tuple[str, ...] = ()
    class_notes: tuple[str, ...] = ()
    split_notes: tuple[str, ...] = ()
    wrong: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    has_table: bool = False

    def tell(self, source: Source) -> None:
        """Set what a source says of the labels of its entries."""
        source.classes = self.classes
        self.tell_table(source)
        source.provides |= {"labels"} if self.many else {"label"} if self.classes else set()
        if self.targets is not None:
            none = np.full(len(self.classes or ()), -1, np.int8)
            source.targets = np.stack([self.targets.get(entry.key, none) for entry in source.entries])

    def tell_table(self, source: Source) -> None:
        """Set whether a source has a `labels.csv`, and what to do where that gives no classes."""
        source.has_table = self.has_table
        if self.has_table and not self.classes:
            source.label_advice = (
                "give its labels.csv a column label, or name the one that holds them by --label-column"
            )


def tree_layout(
    tree: FileTree, pictures: list[str], needs: frozenset[str], column: str | None = None
) -> tuple[list[str], Layout]:
    """The keys of `pictures` that are no maps of others, and their layout; annotations are read only for labels.

    `column` is the one of `labels.csv` that holds the classes, None for "label".
    """
    from selftaught.data.annotations.depth_folder import find_depths
    from selftaught.data.annotations.mask_folder import find_masks
    from selftaught.data.annotations.voc import VocTree

    masks, depths = find_masks(pictures), find_depths(pictures)
    keys = without_maps(pictures)
    if (found := find_table(tree, keys, column)) is not None:
        return keys, replace(read_layout(keys, table=found.text, names=None, where=tree.where), notes=found.notes)
    if (folder := table_folder(tree, keys)) is not None:
        return keys, _by_table(tree, keys, folder, column)
    voc = VocTree.find(tree)
    if voc is not None:
        parts = voc.parts("Main") or voc.parts("Segmentation")
        splits = {key: parts.get(key, "unlabelled") for key in keys}
        if voc.is_annotated and "labels" in needs:
            return keys, Layout({}, splits, voc.classes, True, voc.targets())
        return keys, Layout({}, splits, None, voc.is_annotated)
    layout = read_layout(keys, table=None, names=text_in(tree, CLASSES_FILE), where=tree.where)
    if masks.pairs or depths.pairs:  # folders of images with maps are no classes
        layout = Layout({}, layout.splits, None, notes=layout.notes)
    if needs & {"label", "labels"} and layout.classes is None:
        layout = _by_boxes(tree, layout, needs)
    return keys, layout


def _by_boxes(tree: FileTree, layout: Layout, needs: frozenset[str]) -> Layout:
    """Which classes an image shows, by boxes of COCO, labelImg or YOLO; the layout as it is without any."""
    from selftaught.data.annotations.coco import coco_targets, find_coco
    from selftaught.data.annotations.voc import VocTree
    from selftaught.data.annotations.yolo import open_yolo

    if find_coco(tree):
        if "labels" in needs:
            splits, classes, targets = coco_targets(tree)
            return Layout({}, splits, classes, True, targets)
    elif (voc := VocTree.find_beside(tree)) is not None:
        if "labels" in needs:
            return Layout({}, layout.splits, voc.classes, True, voc.targets())
    elif (yolo := open_yolo(tree, masks=False)) is not None:
        if "labels" in needs:
            return Layout({}, layout.splits, yolo.classes, True, yolo.targets())
    else:
        return layout
    return replace(layout, many=True)


def without_maps(pictures: list[str]) -> list[str]:
    """The images that are no masks or depth maps of others."""
    from selftaught.data.annotations.depth_folder import find_depths
    from selftaught.data.annotations.mask_folder import find_masks
    from selftaught.data.files.masks_beside import masks_beside

    masks, depths, beside = find_masks(pictures), find_depths(pictures), masks_beside(pictures)
    return [key for key in pictures if not masks.holds(key) and not depths.holds(key) and key not in beside]


def table_folder(tree: FileTree, keys: Sequence[str]) -> str | None:
    """Where `labels.csv` is: "" at the top, else "folder/" that all files share, as a zip of a folder has; or None."""
    shared = posixpath.commonpath([posixpath.dirname(key) for key in keys]) if keys else ""
    parts = shared.split("/") if shared else []
    folders = ("".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1))
    return next((folder for folder in folders if f"{folder}{LABELS_FILE}" in tree), None)


def _by_table(tree: FileTree, keys: Sequence[str], folder: str, column: str | None) -> Layout:
    """The layout from the table in `folder`; its paths are relative to it."""
    inside = [key.removeprefix(folder) for key in keys]
    table = text_in(tree, f"{folder}{LABELS_FILE}")
    found = read_layout(inside, table=table, names=None, where=tree.where, column=column)
    return replace(
        found,
        labels={f"{folder}{key}": label for key, label in found.labels.items()},
        splits={f"{folder}{key}": part for key, part in found.splits.items()},
        targets=found.targets and {f"{folder}{key}": target for key, target in found.targets.items()},
    )


def text_in(tree: FileTree, key: str) -> str | None:
    """The text of a table or list, None where it is absent; one sentence where it is no text."""
    if key not in tree:
        return None
    try:
        content = tree.read(key, most=LARGEST_TEXT)
    except (OSError, ValueError) as broken:
        raise ValueError(f"{key} of {tree.where} cannot be read ({broken}); correct or remove it") from None
    return text_of(content, f"{key} of {tree.where}")


def read_layout(
    keys: Sequence[str], *, table: str | None, names: str | None, where: str, column: str | None = None
) -> Layout:
    """The layout of files.

    Args:
        keys: relative paths with "/".
        table: text of `labels.csv` (columns file, label and perhaps split), which goes before the folders; see
            `label_table` for several classes of a file.
        names: text of `classes.txt`, lines of a folder's name, a tab and what to call the class.
        where: the folder or archive, for messages.
        column: of the table, the one that holds the classes; None for "label".
    """
    if table is not None:
        read = read_table(keys, table, where, column)
        many = read.targets is not None
        return Layout(read.labels, read.splits, read.classes, many, read.targets, notes=read.notes, has_table=True)
    found = read_folder_names(keys)
    # Classes keep the order of their folders, as torchvision's ImageFolder numbers them.
    folders = sorted(set(found.labels.values()))
    nice, notes = _called(folders, names or "", where)
    return Layout(
        {key: nice[label] for key, label in found.labels.items()},
        found.splits,
        tuple(nice.values()) or None,
        notes=found.notes,
        class_notes=(*found.class_notes, *notes),
        wrong=found.wrong,
    )


def _called(folders: Sequence[str], names: str, where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """What to call the class of each folder, and what is wrong with the list that says so."""
    called: dict[str, str] = {}
    for line in names.splitlines():
        folder, tab, name = line.partition("\t")
        if tab and folder.strip() and name.strip() and called.setdefault(folder.strip(), name.strip()) != name.strip():
            raise ValueError(f"{CLASSES_FILE} of {where} names the folder {folder.strip()} twice; leave one line")
    if not called or not folders:
        return {folder: folder for folder in folders}, ()
    nice = {folder: called.get(folder, folder) for folder in folders}
    if len(set(nice.values())) < len(folders):
        return {folder: folder for folder in folders}, (
            f"{CLASSES_FILE} gives one name to two folders and is not used",
        )
    absent = [folder for folder in folders if folder not in called]
    if absent:
        return nice, (
            f"{CLASSES_FILE} names no class for {len(absent)} of {len(folders)} folders (such as {absent[0]})",
        )
    return nice, ()


def with_groups(layout: Layout, keys: Sequence[str], hints: Hints, table: str | None, where: str) -> Layout:
    """The layout with the groups of the keys, and notes on them."""
    groups, notes = find_groups(keys, hints.groups, table, where)
    if across := crossing(groups, layout.splits):
        many = "1 group has" if len(across) == 1 else f"{len(across)} groups have"
        notes.append(f"{many} samples in more than one part of the data (such as {across[0]})")
    return replace(layout, groups=groups, notes=(*layout.notes, *notes))


def choose_entries(
    keys: Sequence[str], layout: Layout, *, split: str, needs: frozenset[str], seed: int, held_out: float, where: str
) -> list[Entry]:
    """The labelled entries of one split, in the order of `keys`; a `ValueError` for folders that cannot be classes."""
    if needs & {"label", "labels"} and layout.wrong:
        raise ValueError(f"{where}: {layout.wrong}")
    is_labelled = bool(needs & {"label", "labels", "mask", "depth"})
    chosen = choose_split(
        keys,
        layout.splits,
        split=split,
        seed=seed,
        held_out=held_out,
        labelled_only=is_labelled,
        groups=layout.groups,
    )
    if not chosen:
        which = " with sound" if "audio" in needs else ""
        alone = len({layout.groups.get(key, key) for key in keys}) == 1 < len(keys)
        raise EmptyPart(where, len(keys), split, "file", f"{which} of one group (--groups)" if alone else which)
    number = {name: i for i, name in enumerate(layout.classes or ())}
    return [Entry(keys[i], number.get(layout.labels.get(keys[i], "")), layout.groups.get(keys[i], "")) for i in chosen]


def in_no_part(keys: Sequence[str], layout: Layout) -> list[str]:
    """The files that belong to no part of the data, where these have a part to learn from."""
    if not {"train", "unlabelled"} & {given_split(part) for part in set(layout.splits.values())}:
        return []
    return [key for key in keys if given_split(layout.splits.get(key, "")) is None]


def notes_of(keys: Sequence[str], layout: Layout, needs: frozenset[str]) -> list[str]:
    """How the files were read, for those who ask for `needs`."""
    notes = [*layout.notes, *layout.split_notes, *(layout.class_notes if needs & {"label", "labels"} else ())]
    none = in_no_part(keys, layout)
    if none:
        notes.append(f"{len(none)} of {len(keys)} files belong to no part of the data (such as {none[0]})")
    return notes

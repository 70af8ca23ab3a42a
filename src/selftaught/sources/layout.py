"""What the names of files say: labels and splits from `labels.csv` or from the folders files lie in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from selftaught.sources.base import Entry
from selftaught.sources.splits import choose_split, given_split

LABELS_FILE = "labels.csv"
CLASSES_FILE = "classes.txt"


@dataclass(frozen=True)
class Layout:
    """Labels and splits of some keys; a key that is absent has none."""

    labels: dict[str, str]
    splits: dict[str, str]
    classes: tuple[str, ...] | None


def read_layout(keys: Sequence[str], *, table: str | None, names: str | None, where: str) -> Layout:
    """The layout of files.

    Args:
        keys: relative paths with "/".
        table: text of `labels.csv` (columns file, label and perhaps split), which goes before the folders.
        names: text of `classes.txt`, lines of a folder's name, a tab and what to call the class.
        where: the folder or archive, for messages.
    """
    if table is not None:
        labels, splits = _from_table(keys, table, where)
        return Layout(labels, splits, tuple(sorted(set(labels.values()), key=_natural)) or None)
    labels, splits = _from_folders(keys)
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
    chosen = choose_split(
        keys, layout.splits, split=split, seed=seed, held_out=held_out, labelled_only="label" in needs
    )
    if not chosen:
        raise ValueError(
            f"{where} holds {len(keys)} files, but none in its {split} part; add some or give another folder"
        )
    number = {name: i for i, name in enumerate(layout.classes or ())}
    return [Entry(keys[i], number.get(layout.labels.get(keys[i], ""))) for i in chosen]


def _from_table(keys: Sequence[str], table: str, where: str) -> tuple[dict[str, str], dict[str, str]]:
    reader = csv.DictReader(io.StringIO(table.removeprefix("\ufeff")))
    columns = [name or "" for name in reader.fieldnames or ()]
    if "file" not in columns or "label" not in columns:
        raise ValueError(
            f"{LABELS_FILE} of {where} must have the columns file and label (and perhaps split), "
            f"got {', '.join(columns) or 'an empty file'}"
        )
    known = set(keys)
    rows = [(PurePosixPath(row["file"] or "").as_posix(), row) for row in reader]
    rows = [(key, row) for key, row in rows if key in known]
    if not rows:
        raise ValueError(
            f"{LABELS_FILE} of {where} names none of the {len(keys)} files beside it (such as {keys[0]}); "
            "its column file must hold paths relative to it"
        )
    labels = {key: row["label"] for key, row in rows if row["label"]}
    return labels, {key: row["split"] for key, row in rows if row.get("split")}


def _from_folders(keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
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


def _natural(name: str) -> tuple[int, int, str]:
    """Classes that are numbers in the order of the numbers."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)

"""Tables of labels as others write them: `train.csv` of Kaggle, `metadata.csv` and `metadata.jsonl` of Hugging Face.

They are put into the form of `labels.csv`, so that all that is true of that is true of them.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.folder_names import read_folder_names
from selftaught.data.files.labels_file import LABELS_FILE, read_rows, text_of
from selftaught.data.files.splits import given_split

METADATA = ("metadata.csv", "metadata.jsonl")
_FILE_COLUMNS = (
    *("file", "file_name", "filename", "image", "image_id", "imageid", "id", "image_name", "img", "img_id", "path"),
    *("filepath", "image_path", "name", "id_code"),
)
_LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "class_name", "breed", "species", "diagnosis")
_NOT_LABELS = re.compile(r"sample|submission|test", re.IGNORECASE)
_ENOUGH = 0.5
"""Share of a table's rows that must name an image, for the table to be one of labels."""


@dataclass(frozen=True)
class FoundTable:
    """A table in the form of `labels.csv`.

    Attributes:
        text: its content, with paths relative to the top of the data.
        name: what it was read from.
        notes: sentences for people.
    """

    text: str
    name: str
    notes: tuple[str, ...]


_Row = Mapping[str, str]


def find_table(tree: FileTree, keys: Sequence[str], column: str | None) -> FoundTable | None:
    """The labels that a table of another form gives the files `keys`; None where there is none.

    A `labels.csv` with a column `file` is no other form, and folders of classes go before a table of ids, unless a
    `column` is asked for.
    """
    if column is None and read_folder_names(keys).labels:
        return _metadata(tree, keys, column)
    return _metadata(tree, keys, column) or _kaggle(tree, keys, column)


def _metadata(tree: FileTree, keys: Sequence[str], column: str | None) -> FoundTable | None:
    """Tables that name the files of their own folder by `file_name`."""
    files = [key for key in tree.keys if posixpath.basename(key) in METADATA]
    known = set(keys)
    named: dict[str, _Row] = {}
    lost: list[str] = []
    for file in files:
        folder = posixpath.dirname(file)
        for row in _rows_of(tree, file):
            name = row.get("file_name", "")
            key = posixpath.normpath(posixpath.join(folder, name)) if name else ""
            if key in known:
                named[key] = {cells: cell for cells, cell in row.items() if cells != "file_name"}
            elif name:
                lost.append(name)
    if not named:
        return None
    label = column or next((word for word in _LABEL_COLUMNS if any(word in row for row in named.values())), None)
    return None if label is None else _found(keys, named, label, files[0], lost)  # without one they may be captions


def _kaggle(tree: FileTree, keys: Sequence[str], column: str | None) -> FoundTable | None:
    """A table at the top whose rows name files by their ids, with or without folder and ending."""
    top = [key for key in tree.keys if "/" not in key and key.lower().endswith(".csv")]
    chosen = [key for key in top if not _NOT_LABELS.search(key)]
    by_stem = _stems(keys)
    for file in sorted(chosen, key=lambda key: ("train" not in key.lower(), key)):
        rows = _rows_of(tree, file)
        columns = list(rows[0]) if rows else []
        lower = {one.lower(): one for one in columns}
        name = next((lower[word] for word in _FILE_COLUMNS if word in lower), None)
        if name is None or (file == LABELS_FILE and "file" in columns):
            continue
        named: dict[str, _Row] = {}
        lost: list[str] = []
        for row in rows:
            key = _key_of(row[name], by_stem)
            if key is None:
                lost.append(row[name])
            else:
                named[key] = {one: cell for one, cell in row.items() if one != name}
        others = [one for one in columns if one != name]
        label = _label_of(others, list(named.values()), column)
        if len(named) >= _ENOUGH * len(rows) and label is not None:
            return _found(keys, named, label, file, lost)
    return None


def _label_of(columns: Sequence[str], rows: Sequence[_Row], column: str | None) -> str | None:
    """The column of the classes; "" where every column is one of 0 and 1 of its own class, None where none is known."""
    if column is not None:
        return column if column in columns else None
    known = [one for word in _LABEL_COLUMNS for one in columns if one.lower() == word]
    if known or len(columns) == 1:
        return (known or [*columns])[0]
    classes = [one for one in columns if one.lower() != "split"]
    return "" if classes and {row[one] for row in rows for one in classes} <= {"0", "1"} else None


def _stems(keys: Sequence[str]) -> dict[str, str]:
    """Names of the files without folders, with and without ending, that are unique; those for training go first."""
    places: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        base = posixpath.basename(key)
        for name in {key, base, base.rpartition(".")[0]}:
            places[name].append(key)
    found = {}
    for name, there in places.items():
        train = [key for key in there if not any(_NOT_LABELS.search(part) for part in key.split("/")[:-1])]
        if len(train or there) == 1:
            found[name] = (train or there)[0]
    return found


def _key_of(cell: str, by_stem: Mapping[str, str]) -> str | None:
    name = cell.replace("\\", "/").removeprefix("./")
    return by_stem.get(name) or by_stem.get(posixpath.basename(name))


def _found(keys: Sequence[str], named: Mapping[str, _Row], label: str, file: str, lost: Sequence[str]) -> FoundTable:
    """The rows in our form; files without a row are unlabelled."""
    folders = read_folder_names(keys).splits
    columns = dict.fromkeys(column for row in named.values() for column in row if column not in ("split", label))
    others = [column for column in columns if column != "label" or not label]
    is_divided = {given_split(folders.get(key, "")) for key in named} > {"train"}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", *(["label"] if label else []), *others, "split"])
    for key in keys:
        row = named.get(key)
        if row is None:
            writer.writerow([key, *[""] * (len(others) + bool(label)), "unlabelled"])
            continue
        part = row.get("split") or (folders.get(key, "") if is_divided else "train")
        writer.writerow([key, *([row.get(label, "")] if label else []), *(row.get(one, "") for one in others), part])
    notes = [f"labels of {len(named)} of {len(keys)} files by {file}" + (f", column {label}" if label else "")]
    if lost:
        notes.append(f"{len(lost)} rows of {file} name no file (such as {lost[0]})")
    return FoundTable(out.getvalue(), file, tuple(notes))


def _rows_of(tree: FileTree, file: str) -> list[dict[str, str]]:
    text = text_of(tree.read(file, most=LARGEST_TEXT), f"{file} of {tree.where}")
    if not file.endswith(".jsonl"):
        return read_rows(text, f"{file} of {tree.where}")
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{file} of {tree.where} is not JSON in line {number}; correct or remove it") from None
        if not isinstance(row, dict):
            raise ValueError(f"{file} of {tree.where} must hold one object a line, got a list in line {number}")
        rows.append({str(k): "" if v is None else str(v) for k, v in row.items() if not isinstance(v, list | dict)})
    columns = Counter(column for row in rows for column in row)
    return [{column: row.get(column, "") for column in columns} for row in rows]

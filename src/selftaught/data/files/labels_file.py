"""`labels.csv`: the class and perhaps the split of each file, as people and spreadsheets write it."""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from selftaught.data.files.hints import UnfitHint
from selftaught.data.files.label_table import natural, read_many
from selftaught.data.files.split_words import split_in
from selftaught.data.files.splits import Given

LABELS_FILE = "labels.csv"
_COLUMNS = frozenset(("file", "label", "labels", "split"))
_NO_LABEL = frozenset(("nan", "<na>", "n/a", "#n/a"))
"""What spreadsheets and pandas write into an empty cell."""
_DELIMITERS = ",;\t"

_Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """What `labels.csv` says of the files it names.

    Attributes:
        labels: the class of a file; empty where a file may be of several.
        splits: the part of a file, where the table says so in a word that is understood.
        classes: names of all classes, or None.
        targets: (K,) int8 of a file that may be of several classes: 1 of the class, 0 not, -1 not said; None unless
            the table gives several.
        notes: one sentence for each thing that does not fit the files.
    """

    labels: dict[str, str]
    splits: dict[str, Given]
    classes: tuple[str, ...] | None
    targets: dict[str, NDArray[np.int8]] | None
    notes: tuple[str, ...]


def text_of(content: bytes, where: str) -> str:
    """A table's or list's text: UTF-8, or UTF-16 where its first bytes say so; one sentence for anything else."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError(f"{where} is no text, for it holds zero bytes; save it as UTF-8")
        return text
    except UnicodeDecodeError as wrong:
        line = content[: wrong.start].count(b"\n") + 1
        raise ValueError(f"{where} is not {wrong.encoding.upper()} text (line {line}); save it as UTF-8") from None


def read_table(keys: Sequence[str], text: str, where: str, column: str | None = None) -> Table:
    """The table of the files `keys` (relative paths with "/"); cells are stripped, and , ; or tab may part them.

    Args:
        keys: see above.
        text: of the table.
        where: the folder or archive, for messages.
        column: the one that holds the classes, None for "label" or "labels". A table without it gives no classes.

    Raises:
        ValueError: where the columns are not those of such a table, where no row names a file, and where two rows of
            one file differ; `UnfitHint` where it has no such column.
    """
    name = f"{LABELS_FILE} of {where}"
    columns, rows = _rows(text, name)
    if column is not None:
        columns, rows = _with_label(columns, rows, column, name)
    known = set(keys)
    named = [(_key(row["file"], known), row) for row in rows] if "file" in columns else []
    found = _unique([(key, row) for key, row in named if key in known], name)
    many = read_many(columns, list(found.values())) if "file" in columns else None
    if "file" not in columns:
        raise ValueError(
            f"{name} must have the columns file and label (and perhaps split), or a column of 0 and 1 for each class, "
            f"got {_listed(columns) or 'an empty file'}"
        )
    if not found:
        such = f" (such as {named[0][1]['file']})" if named else ""
        raise ValueError(
            f"{name} names none of the {len(keys)} files beside it (such as {keys[0]}) in its {len(named)} "
            f"rows{such}; its column file must hold paths relative to it"
        )
    notes = [*_misfits(keys, found, [row["file"] for key, row in named if key not in known], len(named))]
    splits, unknown = _splits(found)
    if unknown:
        words = ", ".join(repr(word) for word in sorted(unknown)[:5])
        notes.append(
            f"{unknown.total()} rows of {LABELS_FILE} have a split that is none of train, val, test and unlabelled "
            f"({words}); their files are in no part"
        )
    if many is not None:
        classes, targets = many
        return Table({}, splits, classes, dict(zip(found, targets, strict=True)), tuple(notes))
    if "label" not in columns:
        others = _listed([one for one in columns if one not in ("file", "split")])
        notes.append(
            f"{LABELS_FILE} has no column label, so that the classes are not known"
            + (f"; --label-column says which one holds them: {others}" if others else "")
        )
    labels = {key: row["label"] for key, row in found.items() if row.get("label")}
    if "label" in columns and len(labels) < len(found):
        notes.append(f"{len(found) - len(labels)} of {len(found)} files in {LABELS_FILE} have no label")
    return Table(labels, splits, tuple(sorted(set(labels.values()), key=natural)) or None, None, tuple(notes))


def read_columns(keys: Sequence[str], text: str, name: str) -> dict[str, dict[str, str]]:
    """Every column of a table but `file`: its cell of each of the files `keys` that has a row.

    Raises:
        ValueError: where there is no column file, or two rows of one file differ.
    """
    columns, rows = _rows(text, name)
    if "file" not in columns:
        raise ValueError(f"{name} must have a column file, got {_listed(columns) or 'nothing'}")
    known = set(keys)
    found = _unique([(key, row) for row in rows if (key := _key(row["file"], known)) in known], name)
    return {column: {key: row[column] for key, row in found.items()} for column in columns if column != "file"}


def read_rows(text: str, name: str) -> list[dict[str, str]]:
    """The rows of any table, their cells stripped, by column; a ValueError where it is none."""
    return _rows(text, name)[1]


def _with_label(columns: list[str], rows: list[_Row], column: str, name: str) -> tuple[list[str], list[_Row]]:
    """Columns and rows in which `column` is the one that holds the label."""
    own = [one for one in columns if one != "file"]
    if column not in own:
        raise UnfitHint(
            f"--label-column {column} is not a column of {name}, which has {_listed(own) or 'none'}; give one of them"
        )
    renamed = ["label" if one == column else one for one in columns if one == column or one not in ("label", "labels")]
    return renamed, [{**row, "label": row[column]} for row in rows]


def _listed(columns: Sequence[str]) -> str:
    return textwrap.shorten(", ".join(columns), 200)


def _rows(text: str, name: str) -> tuple[list[str], list[_Row]]:
    """Stripped column names, and rows of stripped cells; names of our columns may have capitals."""
    lines = text.removeprefix("\ufeff")
    first = lines.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
    try:
        table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as wrong:
        raise ValueError(f"{name} is not a table of text ({wrong}, line {reader.line_num}); save it as CSV") from None
    if not table:
        return [], []
    columns = [cell.lower() if cell.lower() in _COLUMNS else cell for cell in table[0][1]]
    while columns and not columns[-1]:  # "file,label," as some spreadsheets end each line
        columns.pop()
    twice = [column for column, count in Counter(columns).items() if count > 1 and column]
    if twice:
        raise ValueError(f"{name} has the column {twice[0]} {columns.count(twice[0])} times; leave one of them")
    return columns, list(_cells(table[1:], columns, name))


def _cells(table: list[tuple[int, list[str]]], columns: list[str], name: str) -> Iterator[_Row]:
    for line, cells in table:
        if any(cells[len(columns) :]):
            raise ValueError(
                f"{name} has {len(cells)} cells in line {line} and {len(columns)} columns; "
                'put a cell that holds a comma into quotes ("...")'
            )
        padded = [*cells, *[""] * (len(columns) - len(cells))]
        row = dict(zip(columns, padded, strict=False))
        yield {column: "" if cell.lower() in _NO_LABEL and column != "file" else cell for column, cell in row.items()}


def _key(file: str, known: set[str]) -> str:
    """The path of a row as keys are written: without ./, with / for the backslash of Windows."""
    if file in known:
        return file
    key = PurePosixPath(file).as_posix()
    return key if key in known else PurePosixPath(file.replace("\\", "/")).as_posix()


def _unique(rows: list[tuple[str, _Row]], name: str) -> dict[str, _Row]:
    found: dict[str, _Row] = {}
    for key, row in rows:
        before = found.setdefault(key, row)
        for column in row:
            if column != "file" and before[column] != row[column]:
                raise ValueError(
                    f"{name} names {key} twice, with the {column} {before[column] or 'none'} and "
                    f"{row[column] or 'none'}; leave one row (several classes of one file: cat;dog in one cell)"
                )
    return found


def _misfits(keys: Sequence[str], found: dict[str, _Row], lost: list[str], rows: int) -> Iterator[str]:
    if lost:
        yield f"{len(lost)} of {rows} rows of {LABELS_FILE} name no file (such as {lost[0]})"
    without = [key for key in keys if key not in found]
    if without:
        yield f"{len(without)} of {len(keys)} files have no row in {LABELS_FILE} (such as {without[0]})"


def _splits(found: dict[str, _Row]) -> tuple[dict[str, Given], Counter[str]]:
    splits: dict[str, Given] = {}
    unknown: Counter[str] = Counter()
    for key, row in found.items():
        word = row.get("split", "")
        part = split_in(word)
        if part:
            splits[key] = part
        elif word:
            unknown[word] += 1
    return splits, unknown

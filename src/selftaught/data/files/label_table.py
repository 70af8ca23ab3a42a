"""Several classes of one image in `labels.csv`: names in one cell with ; or | between, or a column for each class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_SEPARATOR = re.compile(r"[;|]")
_NUMBERS = {"1": 1, "0": 0, "-1": -1, "": -1}


def natural(name: str) -> tuple[int, int, str]:
    """Order of classes: those that are numbers in the order of the numbers, then the names."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def read_many(
    columns: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> tuple[tuple[str, ...], NDArray[np.int8]] | None:
    """Classes and targets (N, K): 1 of the class, 0 not, -1 not said; None for a table of one class each.

    A table gives several classes by a cell of its column `label` that holds "cat;dog" or "cat|dog" (an empty cell is
    of no class), by a column `labels` in its place, or, without either, by columns of 1, 0 and -1 (or empty: not said).
    """
    column = next((name for name in ("labels", "label") if name in columns), None)
    if column is None:
        return _from_columns([name for name in columns if name and name not in ("file", "split")], rows)
    cells = [row[column] or "" for row in rows]
    if column == "label" and not any(_SEPARATOR.search(cell) for cell in cells):
        return None
    found = [{part.strip() for part in _SEPARATOR.split(cell)} - {""} for cell in cells]
    classes = tuple(sorted(set().union(*found), key=natural))
    return classes, np.array([[name in row for name in classes] for row in found], dtype=np.int8)


def _from_columns(
    classes: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> tuple[tuple[str, ...], NDArray[np.int8]] | None:
    cells = [[(row[name] or "").strip() for name in classes] for row in rows]
    if not classes or not {cell for row in cells for cell in row} <= set(_NUMBERS):
        return None
    return tuple(classes), np.array([[_NUMBERS[cell] for cell in row] for row in cells], dtype=np.int8)

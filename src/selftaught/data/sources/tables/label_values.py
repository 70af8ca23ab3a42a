"""Values of a column of labels, of whatever kind, as numbers of classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "cls")
LONGEST_LABEL = 1000
"""Characters; a longer text is no name of a class."""


def cleaned(values: Sequence[Any], where: str) -> list[Any]:
    """Labels as int, str, a list of these, or None for a row without, such as NaN or empty text.

    Raises:
        ValueError: for values that are no labels, such as {id, name} or texts of a page; the sentence begins with
            `where`, which names the file and the column.
    """
    return [None if value is None else _cleaned(value, where) for value in values]


def _cleaned(value: Any, where: str) -> Any:
    if isinstance(value, bool | int | np.integer):
        return int(value)
    if isinstance(value, float | Decimal | np.floating):
        number = float(value)
        if not math.isfinite(number):
            return None
        return int(number) if number.is_integer() else str(number)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if len(value) > LONGEST_LABEL:
            raise ValueError(
                f"{where} holds texts of up to {len(value)} characters or more, which name no class; "
                f"give names of at most {LONGEST_LABEL} characters"
            )
        return value.strip() or None
    if isinstance(value, list | tuple):
        if any(isinstance(one, list | tuple | Mapping) for one in value):
            raise ValueError(f"{where} holds lists of lists; give a number, a text or a list of these for each row")
        return [label for one in value if (label := None if one is None else _cleaned(one, where)) is not None]
    if isinstance(value, Mapping):
        inside = ", ".join(str(name)[:40] for name in list(value)[:5])
        raise ValueError(f"{where} holds structures of {inside}; give each row a number, a text or a list of these")
    return str(value)[:LONGEST_LABEL]


def number_lists(
    values: Sequence[Any], *, every: Sequence[Any], names: tuple[str, ...] | None
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Targets (N, K) of lists of labels, -1 where a row has none, and the classes; `every` are those of all splits."""
    flat = sorted({label for value in every for label in _listed(value)}, key=lambda label: (str(type(label)), label))
    numbers, classes = number_labels(flat, names=names)
    number = dict(zip(flat, numbers, strict=True))
    targets = np.zeros((len(values), len(classes or ())), dtype=np.int8)
    for row, value in zip(targets, values, strict=True):
        if value is None:
            row[:] = -1
        else:
            row[[n for n in (number[label] for label in _listed(value)) if n is not None]] = 1
    return targets, classes or ()


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else () if value is None else (value,)


def number_labels(
    values: Sequence[Any], *, names: tuple[str, ...] | None
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Class index of each value and the classes; values are ints (below 0: no label) or texts.

    Classes are sorted; without `names` only those that occur are classes.
    """
    present = {value for value in values if value is not None}
    if all(isinstance(value, int) for value in present):
        numbers = [None if value is None or value < 0 else int(value) for value in values]
        seen = sorted({n for n in numbers if n is not None})
        if names is not None and (not seen or seen[-1] < len(names)):
            return numbers, names
        # Numbers may be 0 to 9, but also 20240131: only those that occur are classes.
        place = {n: i for i, n in enumerate(seen)}
        return [None if n is None else place[n] for n in numbers], tuple(map(str, seen)) or None
    classes = names if names and present <= set(names) else tuple(sorted({str(value) for value in present}))
    index = {name: n for n, name in enumerate(classes)}
    return [None if value is None else index[str(value)] for value in values], classes


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The names of the classes that the schema's metadata give, or None."""
    metadata = schema.metadata or {}
    own = metadata.get(b"class_names", b"").decode("utf-8", "replace")
    try:
        if own:
            found = json.loads(own) if own.startswith("[") else [name.strip() for name in own.split(",")]
            return _distinct(found)
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        told = features[column]
        return _distinct((told.get("feature") or told)["names"] if isinstance(told, dict) else None)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _distinct(names: Any) -> tuple[str, ...] | None:
    """If two classes have one name, use numbers as names."""
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        return None
    found = tuple(str(name)[:LONGEST_LABEL] for name in names)
    return found if found and len(set(found)) == len(found) else None

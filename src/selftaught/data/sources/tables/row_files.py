"""Files of rows, such as Parquet's, as one data set: keys, splits and classes over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.files.split_words import sibling_splits
from selftaught.data.files.splits import EmptyPart, choose_split, own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.tables.label_values import number_labels, number_lists


@dataclass(frozen=True)
class RowFile:
    """One file or part: its short name, its rows and what their columns say.

    Attributes:
        labels: of each row, as `label_values.cleaned` gives them; None where there is no such column.
        splits: the text of each row's split; None where there is no such column.
        classes: names of numbers, where the file gives them.
        part: the split that the file's folder or name gives, or "".
    """

    name: str
    rows: int
    labels: Sequence[Any] | None = None
    splits: Sequence[str | None] | None = None
    classes: tuple[str, ...] | None = None
    part: str = ""


@dataclass
class Rows:
    """The rows of one split.

    Attributes:
        places: (number of the file, row) of each entry.
    """

    entries: list[Entry]
    places: list[tuple[int, int]]
    part: str
    classes: tuple[str, ...] | None = None
    targets: NDArray[np.int8] | None = None
    notes: list[str] = field(default_factory=list)

    def tell(self, source: Source, needs: frozenset[str]) -> None:
        """Set what a source says of labels and splits."""
        source.part, source.notes, source.classes = self.part, self.notes, self.classes
        if self.classes is not None:
            source.provides |= {"label" if self.targets is None else "labels"}
            source.targets = self.targets if "labels" in needs else None


def choose_rows(
    files: Sequence[RowFile],
    key: Callable[[str, int], str],
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    where: str,
) -> Rows:
    """The rows of one split; a column of splits goes before the names of files.

    Args:
        files: in order; their names are unique.
        key: unique name of a row from the name of its file and its number.
        split: "train", "held_out" or "test".
        needs: what the task or probe asks for.
        seed: of the share that is held out where there are no splits.
        held_out: that share.
        where: the data, for messages.
    """
    places = [(number, row) for number, file in enumerate(files) for row in range(file.rows)]
    if not places:
        raise ValueError(f"{where} has no rows")
    keys = [key(files[number].name, row) for number, row in places]
    notes: list[str] = []
    given = _by_column(files, keys, notes) or dict(zip(keys, (files[n].part for n, _ in places), strict=True))
    chosen = choose_split(
        keys, given, split=split, seed=seed, held_out=held_out, labelled_only=bool(needs & {"label", "labels"})
    )
    if not chosen:
        raise EmptyPart(where, len(keys), split, "row")
    found = Rows([Entry(keys[i]) for i in chosen], [places[i] for i in chosen], own_part(keys, given, split))
    found.notes = notes
    _label(found, files, keys, chosen, where)
    return found


def _by_column(files: Sequence[RowFile], keys: Sequence[str], notes: list[str]) -> Mapping[str, str]:
    """The split of each row that has one in the column; {} if no value is a known split."""
    if all(file.splits is None for file in files):
        return {}
    told = [text or "" for file in files for text in (file.splits or [None] * file.rows)]
    names = {text for text in told if text}
    known = sibling_splits(names) if len(names) <= 1000 else {}
    if names and not known:
        shown = ", ".join(sorted(names)[:3])[:80]
        notes.append(f"the column split names no train part and another one ({shown}), so it was not used")
    return {key: known[text] for key, text in zip(keys, told, strict=True) if text in known}


def _label(found: Rows, files: Sequence[RowFile], keys: Sequence[str], chosen: Sequence[int], where: str) -> None:
    labelled = [file for file in files if file.labels is not None]
    if not labelled:
        return
    lacking = [file.name for file in files if file.labels is None]
    if lacking:
        found.notes.append(f"{len(lacking)} of {len(files)} files have no labels, such as {lacking[0]}")
    classes = _agreed(labelled, where)
    values = [value for file in files for value in (file.labels if file.labels is not None else [None] * file.rows)]
    if any(isinstance(value, list) for value in values):
        found.targets, found.classes = number_lists([values[i] for i in chosen], every=values, names=classes)
        return
    labels, found.classes = number_labels(values, names=classes)
    found.entries = [Entry(keys[i], labels[i]) for i in chosen]


def _agreed(files: Sequence[RowFile], where: str) -> tuple[str, ...] | None:
    """The names of the classes of all files; numbers that mean other classes in one than in another are refused."""
    kinds: dict[type, str] = {}
    for file in files:
        flat = (one for value in file.labels or () for one in (value if isinstance(value, list) else (value,)))
        for kind in {type(value) for value in flat if value is not None}:
            kinds.setdefault(kind, file.name)
    if len(set(kinds.values())) > 1:
        told = " but ".join(f"{'numbers' if kind is int else 'texts'} in {name}" for kind, name in kinds.items())
        raise ValueError(f"labels of {where} are {told}; give all files labels of one kind")
    named = {file.classes: file.name for file in files if file.classes}
    if len(named) > 1 and int in kinds:
        first, second = list(named.values())[:2]
        raise ValueError(
            f"{second} of {where} numbers its classes otherwise than {first}; write both with the same names"
        )
    return next(iter(named), None)

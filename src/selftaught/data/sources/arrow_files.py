"""Arrow files with encoded images or videos, such as those of `Dataset.save_to_disk` of the package datasets.

They are mapped into memory, so that any row is read at once. The columns are those of Parquet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from selftaught.core.files import digest
from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.files.content import fingerprint_of, stat_file
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.shard_names import shard_splits, short_names
from selftaught.data.sources.base import Entry
from selftaught.data.sources.tables.label_values import class_names, cleaned
from selftaught.data.sources.tables.row_columns import (
    Columns,
    NoPictures,
    arrow_reasons,
    find_columns,
    label_advice,
)
from selftaught.data.sources.tables.row_files import RowFile, choose_rows
from selftaught.data.sources.tables.table_source import TableSource

_LEAST_BYTES = 8
"""Least bytes per row, to detect a file that claims too many rows."""


@dataclass(frozen=True)
class _Part:
    """One file: the batches of rows that could be read, and why there are no more."""

    path: Path
    batches: list[Any]
    schema: Any
    columns: Columns
    cut: str
    rows: RowFile


@final
class ArrowImages(TableSource):
    """One split of some Arrow files."""

    def __init__(
        self,
        parts: list[_Part],
        entries: list[Entry],
        places: list[tuple[int, int]],
        stamp: str,
        reading: Reading = USUAL_READING,
    ) -> None:
        is_video = any(part.columns.is_video for part in parts)
        column = [parts[0].columns.image] if is_video else []
        fingerprint = digest([stamp, *column, *(entry.key for entry in entries)])
        super().__init__(entries, places, reading, is_video=is_video, fingerprint=fingerprint)
        self._parts = parts
        self._firsts = [[0, *accumulate(batch.num_rows for batch in part.batches)] for part in parts]

    def _path(self, number: int) -> Path:
        return self._parts[number].path

    def _value(self, i: int) -> Any:
        number, row = self._places[i]
        part, firsts = self._parts[number], self._firsts[number]
        at = bisect_right(firsts, row) - 1
        with arrow_reasons():
            return part.batches[at].column(part.columns.image)[row - firsts[at]].as_py()


def open_arrow(
    paths: Sequence[Path],
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    hints: Hints = NO_HINTS,
) -> ArrowImages:
    """One split of Arrow files; splits, labels and classes are found as for Parquet."""
    names = short_names([path.as_posix() for path in paths])
    where = str(paths[0]) if len(paths) == 1 else str(paths[0]).removesuffix(names[0]).rstrip("/")
    parts: list[_Part] = []
    skipped: list[tuple[str, str]] = []
    notes: list[str] = []
    first: ValueError | None = None
    for path, name, part_name in zip(paths, names, shard_splits(names), strict=True):
        try:
            part = _open(path, RowFile(name, 0, part=part_name), notes, needs)
        except (NoPictures, Unreadable, OSError) as broken:
            skipped.append((name, str(broken)))
            told = str(broken) if isinstance(broken, NoPictures) else f"is not whole Arrow ({broken})"
            first = first or ValueError(f"{path} {told}")
        else:
            parts.append(part)
            skipped += [(name, part.cut)] if part.cut else []
    if not parts and first is not None:
        raise first
    chosen = choose_rows(
        [part.rows for part in parts],
        lambda name, row: f"{name}:{row}",
        split=split,
        needs=needs,
        seed=seed,
        held_out=held_out,
        where=where,
    )
    stamp = fingerprint_of([stat_file(str(part.path), part.rows.name) for part in parts])
    source = ArrowImages(parts, chosen.entries, chosen.places, stamp, Reading.of(hints))
    chosen.tell(source, needs)
    source.label_advice = label_advice(parts[0].schema, parts[0].columns)
    if skipped:
        notes.append(f"{len(skipped)} Arrow files cannot be read in whole, such as {skipped[0][0]} ({skipped[0][1]})")
    source.notes = [*source.notes, *dict.fromkeys(notes)]
    if split == "train":
        source.skipped = skipped
    return source


def _open(path: Path, rows: RowFile, notes: list[str], needs: frozenset[str]) -> _Part:
    with arrow_reasons():
        batches, schema, cut = _batches(path)
        columns = find_columns(schema, needs)
        count = sum(batch.num_rows for batch in batches)
        if count > max(100_000, path.stat().st_size // _LEAST_BYTES):
            raise Unreadable(f"it claims {count} rows in {path.stat().st_size} bytes")
        splits = None if columns.split is None else _values(batches, columns.split)
        values = None if columns.label is None else _values(batches, columns.label)
    rows = replace(rows, rows=count, splits=splits)
    if values is not None and columns.label is not None:
        try:
            labels = cleaned(values, f"the column {columns.label} of {path}")
            rows = replace(rows, labels=labels, classes=class_names(schema, columns.label))
        except ValueError as no_label:
            if needs & {"label", "labels"}:
                raise
            notes.append(f"labels were not used: {str(no_label).partition(';')[0]}")
    return _Part(path, batches, schema, columns, cut, rows)


def _values(batches: Sequence[Any], column: str) -> list[Any]:
    return [value for batch in batches for value in batch.column(column).to_pylist()]


def _batches(path: Path) -> tuple[list[Any], Any, str]:
    """The batches of a stream or a file, up to a damage; each is checked, as its places are read without a look."""
    mapped = pa.memory_map(str(path))
    try:
        reader: Any = pa.ipc.open_stream(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        whole = pa.ipc.open_file(mapped)
        found = [whole.get_batch(i) for i in range(whole.num_record_batches)]
        for batch in found:
            batch.validate(full=True)
        return found, whole.schema, ""
    batches: list[Any] = []
    try:
        for batch in reader:
            batch.validate(full=True)
            batches.append(batch)
    except Exception as broken:
        if not batches:
            raise
        rows = sum(batch.num_rows for batch in batches)
        return batches, reader.schema, f"damaged after {rows} rows: {' '.join(str(broken).split())[:100]}"
    return batches, reader.schema, ""

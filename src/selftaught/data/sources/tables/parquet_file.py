"""One Parquet file: what its footer and its columns of labels and splits say, and its row groups in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tables.label_values import class_names, cleaned
from selftaught.data.sources.tables.parquet_pages import check_group, read_footer
from selftaught.data.sources.tables.row_columns import Columns, arrow_reasons, find_columns

_ROWS_AT_ONCE = 256
_LEAST_BYTES = 32
"""Least bytes per image, to detect a footer that claims too many rows; up to `_FREE_ROWS` are always accepted."""
_FREE_ROWS = 100_000
_LARGEST_COLUMN = 1 << 30


@dataclass(frozen=True)
class ParquetPart:
    """What one file holds.

    Attributes:
        name: unique among the files.
        first_rows: first row of each row group.
        labels: of each row, cleaned, or None.
        splits: text of each row, or None.
        classes: names of numbers as the schema gives them.
        note: why labels were not used, or "".
    """

    path: Path
    name: str
    rows: int
    first_rows: list[int]
    schema: Any
    columns: Columns
    labels: list[Any] | None = None
    splits: list[str | None] | None = None
    classes: tuple[str, ...] | None = None
    note: str = ""


def look_at(path: Path, name: str, needs: frozenset[str] = frozenset()) -> ParquetPart:
    """The footer of a file; `needs` chooses between columns of images and of videos.

    Raises:
        NoPictures: where it has no column of images.
        Unreadable: where it is damaged or claims what cannot be.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) == b"PARE":
            raise Unreadable("it is encrypted; decrypt it first")
        counts = [group.rows for group in read_footer(file.fileno())]
    rows = sum(counts)
    if rows > max(_FREE_ROWS, size // _LEAST_BYTES):
        raise Unreadable(f"it claims {rows} rows in {size} bytes")
    with arrow_reasons(), pq.ParquetFile(path) as reader:
        schema = reader.schema_arrow
        columns = find_columns(schema, needs)
    first_rows = [0, *accumulate(counts)][:-1]
    return ParquetPart(path, name, rows, first_rows, schema, columns)


def values_of(part: ParquetPart, *, is_labelled: bool) -> ParquetPart:
    """The part with its labels and splits, of all rows.

    Raises:
        ValueError: for a column of what is no label, where labels are needed; `Unreadable` for a damaged one.
    """
    label, split = part.columns.label, part.columns.split
    if split is not None:
        with arrow_reasons():
            texts = _column(part, split)
        part = replace(part, splits=[None if text is None else str(text)[:100] for text in texts])
    if label is None:
        return part
    where = f"the column {label} of {part.path}"
    try:
        kind = part.schema.field(part.schema.get_all_field_indices(label)[0]).type
        if pa.types.is_struct(kind):
            cleaned([{kind.field(k).name: None for k in range(kind.num_fields)}], where)
        with arrow_reasons():
            values = _column(part, label)
        return replace(part, labels=cleaned(values, where), classes=class_names(part.schema, label))
    except Unreadable:
        raise
    except ValueError as no_label:
        if is_labelled:
            raise
        return replace(part, note=f"labels were not used: {str(no_label).partition(';')[0]}")


def _column(part: ParquetPart, column: str) -> list[Any]:
    values: list[Any] = []
    size = 0
    with opened(part.path, [column]) as reader:
        for group in range(len(part.first_rows)):
            for batch in reader.batches(group):
                size += batch.nbytes
                if size > _LARGEST_COLUMN:
                    raise Unreadable(f"its column {column} takes more than {_LARGEST_COLUMN >> 30} GB")
                values += _python(batch)
    if len(values) != part.rows:
        raise Unreadable(f"its column {column} has {len(values)} rows, not {part.rows}")
    return values


def _python(cells: pa.Array) -> list[Any]:
    """Values of some rows; one that occurs often takes memory once."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        values = cells.dictionary.to_pylist()
        return [None if at is None else values[at] for at in cells.indices.to_pylist()]
    if pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type):
        flat = _python(cells.flatten())
        lengths = [None if length is None else int(length) for length in cells.value_lengths().to_pylist()]
        rows: list[Any] = []
        at = 0
        for length in lengths:
            rows.append(None if length is None else flat[at : at + length])
            at += length or 0
        return rows
    return list(cells.to_pylist())


class Reader:
    """Some columns of an open file, by row group: pages are looked at before they are unpacked."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        # Only in the order of the file, by one thread, and dictionaries kept as such: a page of a few bytes may stand
        # for the same long value ten thousand times.
        settings: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 20}
        with pq.ParquetFile(path) as plain:
            leaves = [plain.schema.column(c) for c in range(plain.metadata.num_columns)]
            chosen = [(c, leaf) for c, leaf in enumerate(leaves) if leaf.path.split(".")[0] in columns]
            self._leaves = [c for c, _ in chosen]
            texts = [leaf.path for _, leaf in chosen if leaf.physical_type == "BYTE_ARRAY"]
        self._columns = list(columns)
        self._file = os.open(path, os.O_RDONLY)
        try:
            self._groups = read_footer(self._file)
            self._reader = pq.ParquetFile(path, read_dictionary=texts, **settings)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        os.close(self._file)

    def bytes_of(self, group: int) -> int:
        """Bytes that a row group unpacks to; `Unreadable` where one of its pages claims too much."""
        return check_group(self._file, self._groups[group], self._leaves)

    def batches(self, group: int) -> Iterator[pa.Array]:
        """The first of the columns of a row group, some rows at once; raises what Arrow raises."""
        self.bytes_of(group)
        found = self._reader.iter_batches(
            batch_size=_ROWS_AT_ONCE, row_groups=[group], columns=self._columns, use_threads=False
        )
        for batch in found:
            cells = batch.column(0)
            cells.validate(full=True)  # a damaged page refers to missing dictionary entries
            yield cells


def opened(path: Path, columns: Sequence[str]) -> Reader:
    """An open file; an OSError or `Unreadable` says why it cannot be."""
    with arrow_reasons():
        return Reader(path, columns)

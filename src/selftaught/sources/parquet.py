"""Parquet files with encoded pictures: a column `image` of bytes or {bytes, path}, and perhaps one of labels.

A label is a number or a text, or a list of them where a picture may be of several classes.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selftaught.decode import Unreadable
from selftaught.sources.base import Entry, Payload, Source, digest
from selftaught.sources.splits import choose_split, given_split, own_part

_IMAGE_COLUMNS = ("image", "img", "jpg", "png", "picture")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "cls")
_GROUPS_KEPT = 2
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class _File:
    path: Path
    rows: int
    first_rows: list[int]
    """First row of each row group."""


@final
class ParquetImages(Source):
    """One split of some Parquet files. Reading in order streams; reading one row decompresses its row group."""

    random_access = False

    def __init__(
        self, files: list[_File], column: str, entries: list[Entry], places: list[tuple[int, int]], fingerprint: str
    ) -> None:
        self.entries = entries
        self.classes = None
        self.provides = frozenset({"image"})
        self.fingerprint = fingerprint
        self._files, self._column, self._places = files, column, places
        self._groups: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, i: int) -> bytes:
        number, row = self._places[i]
        file = self._files[number]
        group = bisect_right(file.first_rows, row) - 1
        with self._lock:
            cells = self._groups.get((number, group))
            if cells is None:
                with pq.ParquetFile(file.path) as opened:
                    cells = opened.read_row_group(group, columns=[self._column])[self._column].combine_chunks()
                self._groups[number, group] = cells
                while len(self._groups) > _GROUPS_KEPT:
                    self._groups.popitem(last=False)
        return _encoded(cells[row - file.first_rows[group]].as_py(), file.path)

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        wanted = {place: i for i, place in enumerate(self._places)}
        for number, file in enumerate(self._files):
            row = 0
            with pq.ParquetFile(file.path) as opened:
                for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[self._column]):
                    for cell in batch.column(0):
                        i = wanted.get((number, row))
                        row += 1
                        if i is None:
                            continue
                        try:
                            yield i, _encoded(cell.as_py(), file.path)
                        except (OSError, ValueError) as broken:
                            yield i, broken


def open_parquet(
    paths: Sequence[Path], *, split: str, needs: frozenset[str], seed: int, held_out: float
) -> ParquetImages:
    """One split of Parquet files; files named train*, val* or test* are that split.

    The names of the classes come from the schema's metadata: `class_names` (separated by commas, or a JSON list) or
    the features that Hugging Face writes.
    """
    try:
        files = [_look_at(path) for path in paths]
        schema = pq.read_schema(paths[0])
    except (pa.ArrowInvalid, OSError) as broken:
        raise ValueError(f"{', '.join(str(p) for p in paths[:3])}: not whole Parquet ({broken})") from None
    image, label = _columns(schema, paths[0])
    keys = [f"{file.path.name}:{row}" for file in files for row in range(file.rows)]
    places = [(number, row) for number, file in enumerate(files) for row in range(file.rows)]
    named = {file.path.name: given_split(file.path.stem) or "" for file in files}
    given = {key: named[files[number].path.name] for key, (number, _) in zip(keys, places, strict=True)}
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    if not keys:
        raise ValueError(f"{where} has no rows")
    chosen = choose_split(
        keys, given, split=split, seed=seed, held_out=held_out, labelled_only=bool(needs & {"label", "labels"})
    )
    values = _values(files, label)
    many = any(isinstance(value, list) for value in values)
    names = class_names(schema, label) if label else None
    labels, classes = number_labels([] if many else values, names=names)
    entries = [Entry(keys[i], labels[i] if labels else None) for i in chosen]
    stamps = [f"{f.path.resolve()}:{f.path.stat().st_size}:{f.path.stat().st_mtime_ns}" for f in files]
    identity = digest([image, *stamps, *(entry.key for entry in entries)])
    source = ParquetImages(files, image, entries, [places[i] for i in chosen], identity)
    source.part = own_part(keys, given, split)
    if many:
        targets, source.classes = number_lists([values[i] for i in chosen], every=values, names=names)
        source.provides = frozenset({"image", "labels"})
        source.targets = targets if "labels" in needs else None
    elif classes is not None:
        source.classes = classes
        source.provides = frozenset({"image", "label"})
    return source


def _look_at(path: Path) -> _File:
    with pq.ParquetFile(path) as opened:
        counts = [opened.metadata.row_group(g).num_rows for g in range(opened.metadata.num_row_groups)]
    return _File(path, sum(counts), [sum(counts[:g]) for g in range(len(counts))])


def _columns(schema: pa.Schema, path: Path) -> tuple[str, str | None]:
    def holds_pictures(field: pa.Field) -> bool:
        kind = field.type
        if pa.types.is_struct(kind):
            return any(kind.field(k).name == "bytes" for k in range(kind.num_fields))
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    image = next((name for name in _IMAGE_COLUMNS if name in schema.names and holds_pictures(schema.field(name))), None)
    if image is None:
        raise ValueError(
            f"{path} has no column 'image' of encoded pictures (bytes or {{bytes, path}}), "
            f"only {', '.join(schema.names)}; rename the column that holds them"
        )
    return image, next((name for name in _LABEL_COLUMNS if name in schema.names), None)


def _values(files: Sequence[_File], column: str | None) -> list[Any]:
    """The label column of all splits, so that a class has the same number in each of them; empty without one."""
    if column is None:
        return []
    return [v for file in files for v in pq.read_table(file.path, columns=[column])[column].to_pylist()]


def number_lists(
    values: Sequence[Any], *, every: Sequence[Any], names: tuple[str, ...] | None
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Targets (N, K) of lists of labels, -1 where a row has none, and the classes; `every` are those of all splits."""
    flat = sorted({label for value in every for label in value or ()})
    numbers, classes = number_labels(flat, names=names)
    number = dict(zip(flat, numbers, strict=True))
    targets = np.zeros((len(values), len(classes or ())), dtype=np.int8)
    for row, value in zip(targets, values, strict=True):
        if value is None:
            row[:] = -1
        else:
            row[[n for n in (number[label] for label in value) if n is not None]] = 1
    return targets, classes or ()


def number_labels(
    values: Sequence[Any], *, names: tuple[str, ...] | None
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Class index of each value and the classes; values are ints (below 0: no label), or texts, sorted as classes."""
    present = {value for value in values if value is not None}
    if all(isinstance(value, int) for value in present):
        numbers = [None if value is None or value < 0 else int(value) for value in values]
        count = max((n + 1 for n in numbers if n is not None), default=0)
        if names is None or len(names) < count:
            names = tuple(str(n) for n in range(count))
        return numbers, names or None
    classes = names if names and present <= set(names) else tuple(sorted(str(value) for value in present))
    index = {name: n for n, name in enumerate(classes)}
    return [None if value is None else index[str(value)] for value in values], classes


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The names of the classes that the schema's metadata give, or None."""
    metadata = schema.metadata or {}
    own = metadata.get(b"class_names", b"").decode()
    if own:
        return tuple(json.loads(own)) if own.startswith("[") else tuple(name.strip() for name in own.split(","))
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _encoded(cell: Any, file: Path) -> bytes:
    """The encoded picture of a cell: bytes, or {bytes, path} where the path may stand for absent bytes."""
    if isinstance(cell, dict):
        path = cell.get("path")
        cell = cell.get("bytes")
        if cell is None and path:
            return (file.parent / str(path)).read_bytes()
    if not isinstance(cell, bytes):
        raise Unreadable("the row has no picture")
    return cell

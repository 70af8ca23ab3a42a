"""Parquet files with encoded images or videos: a column `image` or `video` of bytes or {bytes, path}, and perhaps
`label` and `split`.

A label is a number or a text, or a list of them where an image may be of several classes.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from selftaught.core.files import digest
from selftaught.data.decode.containers.only_image import only_image
from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.decode.image import Payload
from selftaught.data.files.content import fingerprint_of, stat_file
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.shard_names import shard_splits, short_names
from selftaught.data.sources.base import Entry
from selftaught.data.sources.tables.parquet_file import ParquetPart, look_at, opened, values_of
from selftaught.data.sources.tables.row_columns import NoPictures, arrow_reasons, encoded, label_advice
from selftaught.data.sources.tables.row_files import RowFile, choose_rows
from selftaught.data.sources.tables.table_source import TableSource

_GROUPS_KEPT = 2
_LARGEST_KEPT = 512 << 20
"""Bytes of a row group; a larger one is read again up to the requested row."""


@final
class ParquetImages(TableSource):
    """One split of some Parquet files. Reading in order streams; reading one row decompresses its row group."""

    random_access = False

    def __init__(
        self,
        files: list[ParquetPart],
        entries: list[Entry],
        places: list[tuple[int, int]],
        fingerprint: str,
        reading: Reading = USUAL_READING,
    ) -> None:
        is_video = any(file.columns.is_video for file in files)
        super().__init__(entries, places, reading, is_video=is_video, fingerprint=fingerprint)
        self._files = files
        self._groups: OrderedDict[tuple[int, int], list[pa.Array]] = OrderedDict()
        self._lock = threading.Lock()

    def _path(self, number: int) -> Path:
        return self._files[number].path

    def _value(self, i: int) -> Any:
        number, row = self._places[i]
        file = self._files[number]
        group = bisect_right(file.first_rows, row) - 1
        with self._lock:
            return self._cell(number, group, row - file.first_rows[group])

    def _cell(self, number: int, group: int, row: int) -> Any:
        file = self._files[number]
        with arrow_reasons():
            batches = self._groups.get((number, group))
            if batches is None:
                with opened(file.path, [file.columns.image]) as reader:
                    if reader.bytes_of(group) > _LARGEST_KEPT:
                        return _at(reader.batches(group), row)
                    batches = list(reader.batches(group))
                self._groups[number, group] = batches
                while len(self._groups) > _GROUPS_KEPT:
                    self._groups.popitem(last=False)
            return _at(batches, row)

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        wanted = {place: i for i, place in enumerate(self._places)}
        for number, file in enumerate(self._files):
            left = [(row, i) for row in range(file.rows) if (i := wanted.get((number, row))) is not None]
            if not left:
                continue
            try:
                reader = opened(file.path, [file.columns.image])
            except (OSError, ValueError) as gone:
                yield from ((i, gone) for _, i in left)
                continue
            with reader:
                at = 0
                for group, first in enumerate(file.first_rows):
                    end = file.first_rows[group + 1] if group + 1 < len(file.first_rows) else file.rows
                    rows = []
                    while at < len(left) and left[at][0] < end:
                        rows.append((left[at][0] - first, left[at][1]))
                        at += 1
                    yield from _group(reader.batches(group), rows, file.path.parent, self._reading)


def _group(
    batches: Iterator[pa.Array], rows: list[tuple[int, int]], folder: Path, reading: Reading
) -> Iterator[tuple[int, Payload | Exception]]:
    """The wanted (row, entry) of a row group; what comes after a damage gives the exception."""
    start, done = 0, 0
    why: Exception = Unreadable("the row group has fewer rows than it says")
    while done < len(rows):
        try:
            with arrow_reasons():
                batch = next(batches, None)
        except (OSError, ValueError) as broken:
            why, batch = broken, None
        if batch is None:
            break
        while done < len(rows) and rows[done][0] < start + len(batch):
            row, i = rows[done]
            done += 1
            try:
                with arrow_reasons():
                    cell = batch[row - start].as_py()
                yield i, only_image(encoded(cell, folder), reading)
            except (OSError, ValueError) as broken:
                yield i, broken
        start += len(batch)
    yield from ((i, why) for _, i in rows[done:])


def _at(batches: Any, row: int) -> Any:
    """The cell of a row of a group."""
    for batch in batches:
        if row < len(batch):
            return batch[row].as_py()
        row -= len(batch)
    raise Unreadable("the row group has fewer rows than it says")


def open_parquet(
    paths: Sequence[Path],
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    hints: Hints = NO_HINTS,
) -> ParquetImages:
    """One split of Parquet files; a column split, or folders and files named train*, val* or test*, are that split.

    A file that is damaged or has no images is left out and listed, where others are whole. The names of the classes
    come from the schema's metadata: `class_names` (separated by commas, or a JSON list) or the features that Hugging
    Face writes.
    """
    names = short_names([path.as_posix() for path in paths])
    where = str(paths[0]) if len(paths) == 1 else str(paths[0]).removesuffix(names[0]).rstrip("/")
    parts, skipped = _whole(paths, names, needs)
    splits = dict(zip(names, shard_splits(names), strict=True))
    files = [RowFile(p.name, p.rows, p.labels, p.splits, p.classes, splits[p.name]) for p in parts]
    chosen = choose_rows(
        files, lambda name, row: f"{name}:{row}", split=split, needs=needs, seed=seed, held_out=held_out, where=where
    )
    stamps = [fingerprint_of([stat_file(str(p.path), p.path.name) for p in parts])]
    identity = digest([*(p.columns.image for p in parts), *stamps, *(entry.key for entry in chosen.entries)])
    source = ParquetImages(parts, chosen.entries, chosen.places, identity, Reading.of(hints))
    chosen.tell(source, needs)
    source.label_advice = label_advice(parts[0].schema, parts[0].columns)
    source.notes = [*source.notes, *dict.fromkeys(p.note for p in parts if p.note)]
    if skipped:
        what = f"{len(skipped)} of {len(paths)} Parquet files cannot be read and are left out"
        source.notes = [f"{what}, such as {skipped[0][0]} ({skipped[0][1]})", *source.notes]
    if split == "train":
        source.skipped = skipped
    return source


def _whole(
    paths: Sequence[Path], names: Sequence[str], needs: frozenset[str]
) -> tuple[list[ParquetPart], list[tuple[str, str]]]:
    """The files that can be read, with their labels, and the others with the reason."""
    parts: list[ParquetPart] = []
    skipped: list[tuple[str, str]] = []
    first: ValueError | None = None
    for path, name in zip(paths, names, strict=True):
        try:
            parts.append(values_of(look_at(path, name, needs), is_labelled=bool(needs & {"label", "labels"})))
        except NoPictures as other:
            skipped.append((name, str(other)))
            first = first or ValueError(f"{path} {other}")
        except (Unreadable, OSError) as broken:
            reason = getattr(broken, "strerror", None) or str(broken)
            skipped.append((name, f"not whole Parquet: {reason}"))
            first = first or ValueError(f"{path}: not whole Parquet ({reason})")
    if not parts and first is not None:
        raise first
    return parts, skipped

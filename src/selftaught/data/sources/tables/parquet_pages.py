"""Parquet's footer and the headers of its pages, read before the pages are: a few bytes may unpack to gigabytes.

Both are Thrift in its compact protocol (apache/parquet-format, parquet.thrift). Read here, as pyarrow's own
`RowGroupMetaData.column` ends the process where a footer is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from selftaught.data.files.file_tree import Unreadable

MAX_PAGE_BYTES = 512 << 20
"""Arrow needs twice as much to read one; its own pages have 1 MB."""
MAX_PAGE_VALUES = 20_000_000
_FIRST_LOOK = 4096
_LARGEST_HEADER = 16 << 20
_LARGEST_FOOTER = 256 << 20
_DEEPEST = 12
_DAMAGED = "the footer or the header of a page is damaged"


class Page(NamedTuple):
    """What a header says of its page: bytes in the file, bytes unpacked, and values."""

    stored: int
    unpacked: int
    values: int


class Chunk(NamedTuple):
    """Where the pages of one column of a row group stand."""

    start: int
    length: int


class Group(NamedTuple):
    """A row group of the footer."""

    rows: int
    chunks: list[Chunk]


def read_footer(descriptor: int) -> list[Group]:
    """The row groups of an open file; `Unreadable` where the footer is damaged."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, 8, max(0, size - 8))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > min(size - 8, _LARGEST_FOOTER):
        raise Unreadable("the end of the file is not that of Parquet")
    try:
        footer, _ = _struct(os.pread(descriptor, length, size - 8 - length), 0, 0)
    except IndexError:
        raise Unreadable(_DAMAGED) from None
    return [_group(group) for group in _all(footer.get(4), dict)]


def _group(fields: dict[int, Any]) -> Group:
    chunks = []
    for column in _all(fields.get(1), dict):
        meta = column.get(3)
        numbers: list[Any] = [meta.get(n) for n in (7, 9)] if isinstance(meta, dict) else []
        if len(numbers) < 2 or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise Unreadable(_DAMAGED)
        starts = [at for at in (meta.get(9), meta.get(11)) if isinstance(at, int) and at > 0]
        chunks.append(Chunk(min(starts, default=0), int(numbers[0])))
    rows = fields.get(3)
    if not isinstance(rows, int) or rows < 0:
        raise Unreadable(_DAMAGED)
    return Group(rows, chunks)


def _all(values: Any, kind: type) -> list[Any]:
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise Unreadable(_DAMAGED)
    return values


def check_group(descriptor: int, group: Group, columns: list[int]) -> int:
    """Bytes that the pages of some columns of a row group unpack to, at least.

    Args:
        descriptor: of the open file.
        group: of the footer.
        columns: numbers of the columns.

    Raises:
        Unreadable: where a header is damaged or claims too much.
    """
    total = 0
    for column in columns:
        if column >= len(group.chunks):
            raise Unreadable(_DAMAGED)
        start, length = group.chunks[column]
        for page in _pages(descriptor, start, start + length):
            if page.unpacked > MAX_PAGE_BYTES:
                raise Unreadable(
                    f"a page unpacks to {page.unpacked >> 20} MB, more than {MAX_PAGE_BYTES >> 20} MB; "
                    "write the file again with smaller row groups"
                )
            if page.values > MAX_PAGE_VALUES:
                raise Unreadable(f"a page claims {page.values} values, more than {MAX_PAGE_VALUES}")
            total += page.unpacked
    return total


def _pages(descriptor: int, start: int, end: int) -> Iterator[Page]:
    at = start
    while at < end:
        page, length = _header_at(descriptor, at, end - at)
        yield page
        at += length + page.stored


def _header_at(descriptor: int, at: int, left: int) -> tuple[Page, int]:
    size = min(_FIRST_LOOK, left)
    while True:
        data = os.pread(descriptor, size, at)
        try:
            fields, length = _struct(data, 0, 0)
            break
        except IndexError:  # a header with long statistics
            if len(data) < size or size >= min(left, _LARGEST_HEADER):
                raise Unreadable(_DAMAGED) from None
            size = min(size * 16, left, _LARGEST_HEADER)
    unpacked, stored = fields.get(2), fields.get(3)
    inside: Any = fields.get(5) or fields.get(7) or fields.get(8) or {}
    values = inside.get(1, 0) if isinstance(inside, dict) else 0
    if not all(isinstance(number, int) and number >= 0 for number in (unpacked, stored, values)):
        raise Unreadable(_DAMAGED)
    return Page(int(stored or 0), int(unpacked or 0), int(values)), length


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Integers and structs of a struct by the numbers of their fields, and the place after it."""
    if depth > _DEEPEST:
        raise Unreadable(_DAMAGED)
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            step, at = _varint(data, at)
            number = (step >> 1) ^ -(step & 1)
        fields[number], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):  # a truth is in its kind
        return None, at
    if kind == 3:
        return None, at + 1
    if kind in (4, 5, 6):
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _varint(data, at)
        return None, at + length
    if kind in (9, 10):
        return _list(data, at, depth)
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise Unreadable(_DAMAGED)


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    """The items of a list; what is no number and no struct is None."""
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    if count > len(data) or depth > _DEEPEST:
        raise Unreadable(_DAMAGED)
    found = []
    for _ in range(count):
        value, at = _value(data, at, 3 if kind in (1, 2) else kind, depth + 1)
        found.append(value)
    return found, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        if data[at] < 128:
            return value, at + 1
        at += 1
    raise Unreadable(_DAMAGED)

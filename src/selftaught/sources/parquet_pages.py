"""The headers of Parquet pages, read before the pages are: a page of a few bytes may claim to unpack to gigabytes.

A header is Thrift in its compact protocol (apache/parquet-format, parquet.thrift: PageHeader).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from selftaught.decode import Unreadable

MAX_PAGE_BYTES = 512 << 20
"""Arrow needs twice as much to read one; its own pages have 1 MB."""
MAX_PAGE_VALUES = 20_000_000
_FIRST_LOOK = 4096
_LARGEST_HEADER = 16 << 20
_DEEPEST = 8


class Page(NamedTuple):
    """What a header says of its page: bytes in the file, bytes unpacked, and values."""

    stored: int
    unpacked: int
    values: int


def check_group(descriptor: int, group: Any, columns: list[int]) -> int:
    """Bytes that the pages of some columns of a row group unpack to, at least.

    Args:
        descriptor: of the open file.
        group: pyarrow's RowGroupMetaData.
        columns: numbers of the columns.

    Raises:
        Unreadable: where a header is damaged or claims too much.
    """
    total = 0
    for column in columns:
        chunk = group.column(column)
        starts = [at for at in (chunk.dictionary_page_offset, chunk.data_page_offset) if at is not None and at > 0]
        start = min(starts, default=0)
        for page in _pages(descriptor, start, start + chunk.total_compressed_size):
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
                raise Unreadable("the header of a page is damaged") from None
            size = min(size * 16, left, _LARGEST_HEADER)
    unpacked, stored = fields.get(2), fields.get(3)
    inside: Any = fields.get(5) or fields.get(7) or fields.get(8) or {}
    values = inside.get(1, 0) if isinstance(inside, dict) else 0
    if not all(isinstance(number, int) and number >= 0 for number in (unpacked, stored, values)):
        raise Unreadable("the header of a page is damaged")
    return Page(int(stored or 0), int(unpacked or 0), int(values)), length


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Integers and structs of a struct by the numbers of their fields, and the place after it."""
    if depth > _DEEPEST:
        raise Unreadable("the header of a page is damaged")
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
        return None, _skip_list(data, at, depth)
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise Unreadable("the header of a page is damaged")


def _skip_list(data: bytes, at: int, depth: int) -> int:
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    if count > len(data) or kind in (9, 10):
        raise Unreadable("the header of a page is damaged")
    for _ in range(count):
        _, at = _value(data, at, 3 if kind in (1, 2) else kind, depth + 1)
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        if data[at] < 128:
            return value, at + 1
        at += 1
    raise Unreadable("the header of a page is damaged")

"""Encoded videos that are no file of their own: members of tars and zips, cells of tables."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, final


@dataclass(frozen=True)
class EncodedVideo:
    """A video inside of a larger file; `open` gives its bytes as a file that can be read at any place, or a path.

    An OSError or `Unreadable` of `open` says why it cannot be read. It may be called from several threads.
    """

    open: Callable[[], IO[bytes] | str]
    track: Callable[[], IO[bytes] | str] | None = None
    """Likewise of a file with its sound, where it has none of its own."""


@final
class PartOfFile(io.RawIOBase):
    """The bytes `start` ... `start + size` of an open file, read by offset, so that several threads may do so."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor, self._start, self._size, self._at = descriptor, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), max(0, self._size - self._at))
        data = os.pread(self._descriptor, count, self._start + self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

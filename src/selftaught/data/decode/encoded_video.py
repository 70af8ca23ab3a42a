"""Encoded videos that are no file of their own: members of tars and zips, cells of tables."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, final

from selftaught.data.files.file_tree import Unreadable

Track: TypeAlias = Callable[[], IO[bytes] | str]
"""Gives a file with sound."""


@dataclass(frozen=True)
class EncodedVideo:
    """A video inside of a larger file; `open` gives its bytes as a file that can be read at any place, or a path.

    An OSError or `Unreadable` of `open` says why it cannot be read. It may be called from several threads.
    """

    open: Callable[[], IO[bytes] | str]
    track: Track | None = None
    """Likewise of a file with its sound, where it has none of its own."""


@final
class PartOfFile(io.RawIOBase):
    """The bytes `start` ... `start + size` of an open file, read by offset, so that several threads may do so."""

    def __init__(self, descriptor: int, start: int, size: int, *, is_own: bool = False) -> None:
        """`is_own` closes the file with this part of it."""
        super().__init__()
        self._descriptor, self._start, self._size, self._at = descriptor, start, size, 0
        self._is_own = is_own

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

    def close(self) -> None:
        if self._is_own and not self.closed:
            os.close(self._descriptor)
        super().close()


def part_of_file(path: str, start: int, size: int) -> IO[bytes]:
    """The bytes `start` ... `start + size` of a file on disk, as a file.

    Raises:
        Unreadable: where it ends before.
    """
    descriptor = os.open(path, os.O_RDONLY)
    part = PartOfFile(descriptor, start, size, is_own=True)
    if os.fstat(descriptor).st_size < start + size:
        part.close()
        raise Unreadable(f"cut off in {Path(path).name}")
    return io.BufferedReader(part, 1 << 16)

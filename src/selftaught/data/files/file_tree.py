"""Files below a folder or in a zip, found by key and read alike."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from selftaught.core.files import digest
from selftaught.core.names import one_line
from selftaught.data.files.content import File, fingerprint_of, stat_file
from selftaught.data.files.file_walk import FoundFile, FoundFiles, find_files
from selftaught.data.files.left_out import LeftOut

MAX_FILE_BYTES = 256 << 20
"""An encoded image is no larger; a header or a list that claims more is refused before that is read."""


PARTLY_USED = "; the rest is used"
"""How the reason of a file ends of which only a part is lost."""


def lost_files(listed: Iterable[tuple[str, str]]) -> int:
    """How many of the listed (path, reason) are not used at all, unlike a damaged video of which the rest is used."""
    return sum(not reason.endswith(PARTLY_USED) for _, reason in listed)


def told_lost(listed: Iterable[tuple[str, str]], where: str) -> str:
    """One sentence on those that are not used, of the data `where`; "" where there are none."""
    lost = {key: why for key, why in listed if not why.endswith(PARTLY_USED)}
    if not lost:
        return ""
    key, why = next(iter(lost.items()))
    many = "1 file was" if len(lost) == 1 else f"{len(lost):,} files were"
    return f"{many} skipped of {where}, as not usable; the first, {one_line(key)}: {one_line(why)}"


class Unreadable(ValueError):  # noqa: N818 - reads as what the image is
    """An image that cannot or must not be decoded; the text is the reason, for the list of skipped files."""


START_BYTES = 512
LARGEST_TEXT = 1 << 30
"""Bytes of the largest list or annotation file: those of COCO have half as many."""
_READ_ONLY = os.O_RDONLY | os.O_NONBLOCK  # a pipe in the place of a file must not be waited for


class FileTree(ABC):
    """Files by key: relative paths with "/", sorted, without what begins with a dot.

    Attributes:
        where: folder or archive, for messages.
        notes: sentences on what was left out.
        left_out: files that are kept by systems and programs for themselves.
        unusable: (key, reason) of what cannot be opened.
    """

    where: str
    keys: list[str]
    notes: Sequence[str] = ()
    left_out: LeftOut = LeftOut()
    unusable: Sequence[tuple[str, str]] = ()

    @abstractmethod
    def __contains__(self, key: str) -> bool: ...

    @abstractmethod
    def read(self, key: str, *, most: int = MAX_FILE_BYTES) -> bytes:
        """Content of a file; an OSError or `Unreadable` where that is damaged. Safe in several threads.

        Args:
            key: of the file.
            most: a file that would be larger, in bytes, is `Unreadable`, and is not read.
        """

    def local(self, key: str) -> str | None:
        """The path of a file, None where it is a part of another one."""
        return None

    def start(self, key: str) -> bytes:
        """The first bytes of a file, a few hundred at most; b"" where it cannot be read."""
        try:
            return self.read(key)[:START_BYTES]
        except (OSError, ValueError):
            return b""

    @abstractmethod
    def stamp(self, key: str) -> str:
        """A text that changes when the file does."""

    def state(self, key: str) -> str:
        """A text that is likely to change when the file does, found without reading it."""
        return self.stamp(key)

    def text(self, key: str) -> str | None:
        """Content of a text file, or None where there is none of that key."""
        return self.read(key, most=LARGEST_TEXT).decode("utf-8-sig", "replace") if key in self else None

    def told(self) -> list[str]:
        """The notes, with one on what cannot be opened."""
        if not self.unusable:
            return [*self.notes]
        (key, why), count = self.unusable[0], len(self.unusable)
        many = "1 file or folder" if count == 1 else f"{count} files or folders"
        return [*self.notes, f"{many} cannot be opened (such as {one_line(key)}: {why})"]

    def fingerprint(self, keys: list[str]) -> str:
        """Hex digest that changes with a name or the content of a file, independent of the folder."""
        return digest(map(self.stamp, keys))


@final
class FolderTree(FileTree):
    """Files below a folder; `files` of an earlier walk avoids a second one."""

    def __init__(self, path: Path, files: FoundFiles | None = None) -> None:
        self.where = str(path)
        files = find_files(path) if files is None else files
        self.notes, self.left_out, self.unusable = files.notes, files.left_out, files.unusable
        self._found = {found.key: found for found in files}
        self.keys = list(self._found)
        self._prefix = f"{path}{os.sep}"

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def read(self, key: str, *, most: int = MAX_FILE_BYTES) -> bytes:
        # Not Path.read_bytes: for a small image that takes a tenth of the time of decoding it.
        file = os.open(self._prefix + key, _READ_ONLY)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):  # it was when the folder was listed
                raise Unreadable("no regular file any more")
            if status.st_size > most:
                raise Unreadable(too_large(status.st_size, most))
            data = os.read(file, status.st_size)
            while len(data) < status.st_size and (more := os.read(file, status.st_size - len(data))):
                data += more  # Linux reads 2 GB at once
            return data
        finally:
            os.close(file)

    def local(self, key: str) -> str | None:
        return self._prefix + key

    def start(self, key: str) -> bytes:
        try:
            file = os.open(self._prefix + key, _READ_ONLY)
            try:
                return os.read(file, START_BYTES)
            finally:
                os.close(file)
        except OSError:
            return b""

    def stamp(self, key: str) -> str:
        return self.fingerprint([key])

    def state(self, key: str) -> str:
        return f"{self._found[key].size}:{self._found[key].modified}"

    def fingerprint(self, keys: list[str]) -> str:
        found = (self._found[key] for key in keys)
        return fingerprint_of([File(self._prefix + f.key, f.key, f.size, f.modified) for f in found])


def alone(path: Path) -> FolderTree:
    """A single file, as the only one of its folder."""
    files, status = FoundFiles(), stat_file(str(path), path.name)
    files.append(FoundFile(path.name, status.size, status.modified))
    tree = FolderTree(path.parent, files)
    tree.where = str(path)
    return tree


def too_large(size: int, most: int) -> str:
    """Why a file is not read."""
    return f"{size} bytes, more than {most >> 20} MB"

"""Files below a folder or in a zip, found by key and read alike."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

from selftaught.own_folder import has_mark, own_files, start_of, told_own
from selftaught.sources.base import digest


class FileTree(ABC):
    """Files by key: relative paths with "/", sorted, without what begins with a dot.

    Attributes:
        where: folder or archive, for messages.
        notes: sentences on what was left out.
        identity: what tells the tree from another one with the same files; empty where the files do.
    """

    where: str
    keys: list[str]
    notes: Sequence[str] = ()
    identity: tuple[str, ...] = ()

    @abstractmethod
    def __contains__(self, key: str) -> bool: ...

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Content of a file; an OSError or `Unreadable` where that is damaged. Safe in several threads."""

    @abstractmethod
    def stamp(self, key: str) -> str:
        """A text that changes when the file does."""

    def text(self, key: str) -> str | None:
        """Content of a text file, or None where there is none of that key."""
        return self.read(key).decode("utf-8-sig", "replace") if key in self else None

    def fingerprint(self, keys: list[str]) -> str:
        """Hex digest that changes when one of the files does."""
        return digest([*self.identity, *map(self.stamp, keys)])


class FoundFile(NamedTuple):
    """A file below a folder; `key` is relative to it, with "/"."""

    key: str
    size: int
    modified: int


class FoundFiles(list[FoundFile]):
    """Files below a folder, sorted by key.

    Attributes:
        notes: sentences on what was left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []


@final
class FolderTree(FileTree):
    """Files below a folder; `files` spares a second walk where one was made."""

    def __init__(self, path: Path, files: FoundFiles | None = None) -> None:
        self.where = str(path)
        files = find_files(path) if files is None else files
        self.notes = files.notes
        self._found = {found.key: found for found in files}
        self.keys = list(self._found)
        self.identity = (str(path.resolve()),)
        self._prefix = f"{path}{os.sep}"

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def read(self, key: str) -> bytes:
        # Not Path.read_bytes: for a small picture that takes a tenth of the time of decoding it.
        file = os.open(self._prefix + key, os.O_RDONLY)
        try:
            size = os.fstat(file).st_size
            data = os.read(file, size)
            while len(data) < size and (more := os.read(file, size - len(data))):  # Linux reads 2 GB at once
                data += more
            return data
        finally:
            os.close(file)

    def stamp(self, key: str) -> str:
        found = self._found[key]
        return f"{key}:{found.size}:{found.modified}"


def open_tree(data: str) -> FileTree:
    """The files of a folder, of a zip, of a folder in a zip, or of the one zip that a folder holds."""
    from selftaught.sources.zip_folder import ZipTree, archive_of

    path = Path(data).expanduser()
    archive = archive_of(path)
    if archive is not None:
        return ZipTree(archive, inside=path.relative_to(archive).as_posix().removeprefix("."))
    if not path.is_dir():
        raise ValueError(f"no folder or zip {data}; boxes and masks are read from a folder or a .zip of one")
    tree = FolderTree(path)
    archives = [key for key in tree.keys if key.lower().endswith(".zip")]
    if len(archives) == 1 and not any(_is_annotation_or_picture(key) for key in tree.keys):
        return ZipTree(path / archives[0])
    return tree


def _is_annotation_or_picture(key: str) -> bool:
    return key.lower().endswith((".jpg", ".jpeg", ".png", ".json", ".xml"))


def find_files(path: Path) -> FoundFiles:
    """All files below `path`, sorted by key; links are followed, what begins with a dot is not looked at.

    Folders that selftaught wrote, such as runs, are no data, with all that is in them. Where `path` itself is one, the
    files in it that selftaught did not write are.
    """
    found = FoundFiles()
    own: list[str] = []
    seen: set[tuple[int, int]] = set()  # a link to a folder above must not be followed for ever
    waiting = [(str(path), "")]
    while waiting:
        folder, prefix = waiting.pop()
        stamp = Path(folder).stat()
        if (stamp.st_dev, stamp.st_ino) in seen:
            continue
        seen.add((stamp.st_dev, stamp.st_ino))
        with os.scandir(folder) as listing:
            items = list(listing)
        if prefix and _is_own(folder, items):
            own.append(prefix.rstrip("/"))
            continue
        for item in items:
            if item.name.startswith("."):
                continue
            if item.is_dir():
                waiting.append((item.path, f"{prefix}{item.name}/"))
            elif item.is_file():
                stat = item.stat()
                found.append(FoundFile(prefix + item.name, stat.st_size, stat.st_mtime_ns))
    if written := set(own_files(path)):
        found[:] = [file for file in found if file.key not in written]
    found.sort()
    if own:
        found.notes.append(told_own(own))
    return found


def _is_own(folder: str, items: list[os.DirEntry[str]]) -> bool:
    names = {item.name for item in items}
    return has_mark(os.path.basename(folder), names, lambda name: start_of(Path(folder, name)))  # noqa: PTH119

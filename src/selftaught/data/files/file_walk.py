"""The files below a folder: only regular ones, each once, and what else there is with the reason it is not read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from selftaught.core.names import one_line
from selftaught.core.own_folder import has_mark, own_files, start_of, told_own
from selftaught.data.files.file_kinds import is_hidden, is_picture, is_video
from selftaught.data.files.left_out import MOST_LISTED, LeftOut, left_out_as


class FoundFile(NamedTuple):
    """A file below a folder; `key` is relative to it, with "/"."""

    key: str
    size: int
    modified: int


class FoundFiles(list[FoundFile]):
    """Files below a folder, sorted by key.

    Attributes:
        notes: sentences on what was left out.
        left_out: images and videos that systems and programs keep for themselves, such as thumbnails.
        unusable: (key, reason) of what cannot be opened: links to nothing, pipes, folders without permission.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.left_out = LeftOut()
        self.unusable: list[tuple[str, str]] = []


def find_files(path: Path) -> FoundFiles:
    """All files below `path`, sorted by key; links are followed, what is hidden or of a system is not looked at.

    Folders that selftaught wrote, such as runs, are no data, with all that is in them. Where `path` itself is one, the
    files in it that selftaught did not write are.

    Raises:
        ValueError: where the folder itself cannot be read.
    """
    found, hidden, own = FoundFiles(), list[str](), list[str]()
    seen: set[tuple[int, int]] = set()  # a link to a folder above must not be followed for ever
    waiting = [(str(path), "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 - one for each folder
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                items = list(listing)
        except OSError as refused:
            if not prefix:
                raise ValueError(f"{path} cannot be read ({refused.strerror}); check its permissions") from None
            found.unusable.append((prefix, refused.strerror or str(refused)))
            continue
        if prefix and _is_own(folder, items):
            own.append(prefix.rstrip("/"))
            continue
        for item in items:
            if is_hidden(item.name):
                hidden.append(prefix + item.name)
            elif below := _look_at(item, prefix, found):
                waiting.append(below)
    if written := set(own_files(path)):
        found[:] = [file for file in found if file.key not in written]
    found.sort()
    found.unusable.sort()
    if own:
        found.notes.append(told_own(own))
    _count_hidden(path, hidden, found)
    return found


def _look_at(item: os.DirEntry[str], prefix: str, found: FoundFiles) -> tuple[str, str] | None:
    """Add a file to what was found; a folder is returned, to be looked into."""
    key = prefix + item.name
    try:
        status = item.stat()
    except OSError as refused:
        why = "a link to nothing" if item.is_symlink() and isinstance(refused, FileNotFoundError) else refused.strerror
        found.unusable.append((key, why or str(refused)))
        return None
    if stat.S_ISDIR(status.st_mode):
        return item.path, f"{key}/"
    if stat.S_ISREG(status.st_mode):
        found.append(FoundFile(key, status.st_size, status.st_mtime_ns))
    else:
        found.unusable.append((key, "no regular file (a pipe, socket or device)"))
    return None


def _is_own(folder: str, items: list[os.DirEntry[str]]) -> bool:
    names = {item.name for item in items}
    return has_mark(os.path.basename(folder), names, lambda name: start_of(Path(folder, name)))  # noqa: PTH119


def _count_hidden(path: Path, hidden: list[str], found: FoundFiles) -> None:
    """Hidden images and videos, among the first ten thousand names."""
    pictures: list[str] = []
    looked = 0
    for name in sorted(hidden):
        if not (path / name).is_dir():
            pictures += [name] if _is_sample(name) else []
            continue
        for folder, _, files in os.walk(path / name):
            inside = Path(folder).relative_to(path).as_posix()
            pictures += [f"{inside}/{file}" for file in sorted(files) if _is_sample(file)]
            looked += len(files) + 1
            if looked > MOST_LISTED:
                break
    if pictures:
        found.left_out = left_out_as("hidden", pictures, "hidden, or kept by a system for itself")
        found.notes.append(
            f"{len(pictures)} files that are hidden or kept by a system for itself were left out "
            f"(such as {one_line(pictures[0])})"
        )


def _is_sample(name: str) -> bool:
    return is_picture(name) or is_video(name)

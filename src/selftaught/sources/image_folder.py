"""A folder of pictures, at any depth; classes and splits are its sub-folders or its `labels.csv`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, final

from selftaught.sources.base import Entry, Source, digest
from selftaught.sources.layout import CLASSES_FILE, LABELS_FILE, choose_entries, read_layout

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga",
    }
)  # fmt: skip


@final
class ImageFolder(Source):
    """One split of a folder of pictures; `read` gives the bytes of the file."""

    def __init__(self, path: Path, entries: list[Entry], classes: tuple[str, ...] | None, fingerprint: str) -> None:
        self.name = str(path)
        self.entries = entries
        self.classes = classes
        self.provides = frozenset({"image", "label"} if classes else {"image"})
        self.fingerprint = fingerprint
        self._prefix = f"{path}{os.sep}"

    def read(self, i: int) -> bytes:
        # Not Path.read_bytes: for a small picture that takes a tenth of the time of decoding it.
        file = os.open(self._prefix + self.entries[i].key, os.O_RDONLY)
        try:
            return os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)


class FoundFile(NamedTuple):
    """A file below a folder; `key` is relative to it, with "/"."""

    key: str
    size: int
    modified: int


def open_image_folder(
    path: Path, *, split: str, needs: frozenset[str], seed: int, held_out: float, files: list[FoundFile] | None = None
) -> ImageFolder:
    """One split of the pictures below `path`; `files` spares a second walk where one was made."""
    pictures = [f for f in (find_files(path) if files is None else files) if is_picture(f.key)]
    if not pictures:
        raise ValueError(f"{path} holds no pictures; give a folder with files such as .jpg or .png")
    keys = [found.key for found in pictures]
    layout = read_layout(keys, table=_text(path / LABELS_FILE), names=_text(path / CLASSES_FILE), where=str(path))
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=str(path))
    stamps = {found.key: f"{found.size}:{found.modified}" for found in pictures}
    identity = (f"{entry.key}:{stamps[entry.key]}" for entry in entries)
    return ImageFolder(path, entries, layout.classes, digest([str(path.resolve()), *identity]))


def is_picture(key: str) -> bool:
    """Whether the end of the name is one of a picture format."""
    return key[key.rfind(".") :].lower() in IMAGE_SUFFIXES  # not PurePath.suffix: called for 100,000 names


def find_files(path: Path) -> list[FoundFile]:
    """All files below `path`, sorted by key; links are followed, what begins with a dot is not looked at."""
    found: list[FoundFile] = []
    seen: set[tuple[int, int]] = set()  # a link to a folder above must not be followed for ever
    waiting = [(str(path), "")]
    while waiting:
        folder, prefix = waiting.pop()
        stamp = Path(folder).stat()
        if (stamp.st_dev, stamp.st_ino) in seen:
            continue
        seen.add((stamp.st_dev, stamp.st_ino))
        with os.scandir(folder) as listing:
            for item in listing:
                if item.name.startswith("."):
                    continue
                if item.is_dir():
                    waiting.append((item.path, f"{prefix}{item.name}/"))
                elif item.is_file():
                    stat = item.stat()
                    found.append(FoundFile(prefix + item.name, stat.st_size, stat.st_mtime_ns))
    found.sort()
    return found


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

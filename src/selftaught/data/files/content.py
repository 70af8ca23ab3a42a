"""Fingerprint of data from names, sizes and samples of the bytes, independent of their place and time of change.

So a store is found again after a copy, a move or a new checkout, and a run goes on with the same data at another path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from selftaught.core.files import cache_root, digest, written_whole

BLOCK = 1 << 14
"""Bytes that are read in one place."""
WHOLE = 4 * BLOCK
"""Files up to this size are read whole."""
_PLACES = (3, 64)
"""Number of blocks of a larger file, and of one above 16 MB; evenly spaced, the first and the last at its ends."""
_DENSE = (
    ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".npy", ".tar", ".tgz", ".gz", ".parquet", ".pq",
)  # fmt: skip
"""Kinds of which a part can change while all else stays: up to 16 MB of each file are read."""
_MANY = 1000
"""Files from which on the result is kept in the cache folder, so that they are not opened again until one changes."""
_THREADS = 8

_known: dict[str, str] = {}


class File(NamedTuple):
    """A file by its name within the data; `modified` in nanoseconds."""

    path: str
    key: str
    size: int
    modified: int


def stat_file(path: str, key: str) -> File:
    """The file at a path; one that has gone, which is skipped when it is read, has no bytes."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - called for 100,000 files
    except OSError:
        return File(path, key, 0, 0)
    return File(path, key, stat.st_size, stat.st_mtime_ns)


def fingerprint_of(files: Sequence[File]) -> str:
    """Hex digest that changes when a name, a size or a sampled byte does.

    Modification times only decide whether files must be read: if none is new, the earlier result is used.
    """
    stamp = digest(f"{os.path.abspath(f.path)}:{f.key}:{f.size}:{f.modified}" for f in files)  # noqa: PTH100
    if stamp in _known:
        return _known[stamp]
    if len(files) < _MANY:
        found = _read(files)
    else:
        place = cache_root() / "contents" / stamp
        found = _kept(place)
        if not found:
            found = _read(files)
            _keep(place, found)
    _known[stamp] = found
    return found


def _read(files: Sequence[File]) -> str:
    if len(files) < 2 * _THREADS:
        return digest(map(_content, files))
    with ThreadPoolExecutor(_THREADS) as pool:
        return digest(pool.map(_content, files, chunksize=64))


def _kept(path: Path) -> str:
    """A saved fingerprint; "" if there is none, or it is damaged."""
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError):
        return ""
    return text if len(text) == 32 else ""


def _keep(path: Path, text: str) -> None:
    """As well as may be: without it the files are read again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft:
            draft.write_text(text, "ascii")


def _content(file: File) -> str:
    """Name, size and a digest of the sampled bytes; an unreadable file by name and size."""
    hashed = hashlib.blake2b(digest_size=16)
    try:
        handle = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return f"{file.key}:{file.size}"
    try:
        for start, length in _blocks(file):
            hashed.update(os.pread(handle, length, start))
    except OSError:
        return f"{file.key}:{file.size}"
    finally:
        os.close(handle)
    return f"{file.key}:{file.size}:{hashed.hexdigest()}"


def _blocks(file: File) -> list[tuple[int, int]]:
    """(start, bytes) of what is read."""
    if file.size <= WHOLE:
        return [(0, file.size)]
    places = _PLACES[file.size > 1 << 24]
    if file.key.lower().endswith(_DENSE):
        places = max(places, min(1024, -(-file.size // BLOCK)))
    return [(i * (file.size - BLOCK) // (places - 1), BLOCK) for i in range(places)]

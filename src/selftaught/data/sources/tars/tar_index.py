"""Where images, NumPy files and videos of a tar stand, and what its members say of them; kept in the cache folder.

Members are only names and places: nothing is written to disk, links and devices are not followed, and no member is read
but small texts.
"""

from __future__ import annotations

import json
import os
import tarfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, get_origin, get_type_hints

import fsspec

from selftaught.core.files import cache_root, digest, written_whole
from selftaught.core.names import one_line
from selftaught.data.files.file_kinds import is_array, is_companion, is_picture, is_sound, is_video
from selftaught.data.files.file_tree import MAX_FILE_BYTES
from selftaught.data.files.labels_file import LABELS_FILE
from selftaught.data.files.left_out import MOST_LISTED
from selftaught.data.sources.layout import CLASSES_FILE
from selftaught.data.sources.tables.label_values import LONGEST_LABEL

_VERSION = "tar 6"
_LONGEST_NAME = 4096
_LARGEST_HEADER = 1 << 20
_LARGEST_LABEL = 1 << 20
_LARGEST_TABLE = 64 << 20
_MOST_SKIPPED = 1000
_PADDING = 1 << 20
"""Zeros that may follow the end of a tar: programs fill up their last record."""
_FAULTS = (tarfile.TarError, ValueError, OverflowError, LookupError, RecursionError, MemoryError, EOFError)


@dataclass
class TarIndex:
    """The first three lists are equally long.

    Attributes:
        keys: names of the images, NumPy files and videos, each once.
        offsets: of their first byte.
        sizes: in bytes, as the header claims.
        labels: class of a sample, by what its members share: folder and name up to the first dot.
        tables: text of labels.csv and classes.txt, where there are such.
        sounds: name of a file of sound -> its first byte, and its size in bytes.
        skipped: (member, reason) of what cannot be used.
        others: names of members of other kinds, which one could miss; of very many the first ones.
        cut: why what follows the last member cannot be read; "" where the tar is whole.
    """

    keys: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    sounds: dict[str, list[int]] = field(default_factory=dict)
    skipped: list[list[str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    cut: str = ""

    def skip(self, member: str, reason: str) -> None:
        """List a member that cannot be used; of very many the first ones."""
        if len(self.skipped) < _MOST_SKIPPED:
            self.skipped.append([one_line(member[:200]), reason])


def index_of(url: str, stamp: str) -> TarIndex:
    """The index of a tar, from the cache folder: walking one of 100,000 members takes seconds.

    Raises:
        ValueError: where it is no tar; an OSError where it cannot be opened.
    """
    kept = cache_root() / "indexes" / f"{digest([_VERSION, stamp])}.json"
    found = _kept(kept)
    if found is not None:
        return found
    with fsspec.open(url, "rb") as stream:
        found = walk(stream)
    if not found.keys and found.cut:
        raise ValueError(f"{url} is not a tar archive ({found.cut})")
    with suppress(OSError):  # an index that cannot be kept is made again
        kept.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(kept) as draft:
            draft.write_text(json.dumps(asdict(found)))
    return found


def _kept(file: Path) -> TarIndex | None:
    """What was kept, or None where it is absent or damaged."""
    try:
        found = TarIndex(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    kinds = get_type_hints(TarIndex)
    if not all(isinstance(getattr(found, f.name), get_origin(kinds[f.name]) or kinds[f.name]) for f in fields(found)):
        return None
    is_whole = len(found.keys) == len(found.offsets) == len(found.sizes)
    is_whole &= all(isinstance(n, int) for n in (*found.offsets, *found.sizes))
    return found if is_whole and all(map(_is_place, found.sounds.values())) else None


def _is_place(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(isinstance(n, int) for n in found)


class _Bounded:
    """A stream for `tarfile` that no header makes read more than a header needs, nor go where there is nothing."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if not 0 <= offset < 1 << 62:
            raise tarfile.ReadError(f"a header claims that the archive has {offset} bytes")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def walk(stream: IO[bytes]) -> TarIndex:
    """The index of an open tar; what was read up to a damage is whole."""
    index = TarIndex()
    place: dict[str, int] = {}
    count = 0
    try:
        with tarfile.open(fileobj=_Bounded(stream), mode="r:") as archive:  # type: ignore[call-overload]
            before = -1
            while (member := archive.next()) is not None:
                if member.size < 0 or archive.offset <= before:
                    raise tarfile.ReadError("a member claims a negative size")
                before = archive.offset
                archive.members.clear()  # tarfile keeps all, half a kilobyte each
                _add(index, member, stream, place)
                count += 1
            index.cut = _what_follows(stream, archive.offset, count)
    except _FAULTS as broken:
        reason = " ".join(str(broken).split())[:100] or type(broken).__name__
        index.cut = f"cut off or damaged after {count} members: {reason}" if count else reason
    return index


def _what_follows(stream: IO[bytes], offset: int, count: int) -> str:
    """Why the archive does not end where its members do: `tarfile` takes a damaged header for the end."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0"):
        return f"damaged after {count} members, {size - offset} bytes before its end"
    if size - offset > _PADDING:
        return f"{size - offset} bytes follow the mark of its end after {count} members"
    return "" if block else f"cut off after {count} members: the mark of its end is missing"


def _add(index: TarIndex, member: tarfile.TarInfo, stream: IO[bytes], place: dict[str, int]) -> None:
    name = member.name.removeprefix("./").lstrip("/")
    base = name.rpartition("/")[2]
    if not base or any(step.startswith(".") and step != ".." for step in name.split("/")):
        return
    if is_picture(name) or is_video(name) or is_array(name):
        if not member.isfile() or member.issparse():
            if not member.isdir():
                index.skip(name, "a sparse file in the tar" if member.isfile() else "a link or device in the tar")
        elif len(name) > _LONGEST_NAME:
            index.skip(name, f"a name of {len(name)} characters")
        elif name in place:  # as for tar itself, the later one replaces the earlier one
            index.offsets[place[name]], index.sizes[place[name]] = member.offset_data, member.size
            index.skip(name, "replaced by a later member of the same name")
        else:
            place[name] = len(index.keys)
            index.keys.append(name)
            index.offsets.append(member.offset_data)
            index.sizes.append(member.size)
    elif member.isfile() and not member.issparse():
        _add_text(index, name, member, stream)


def _add_text(index: TarIndex, name: str, member: tarfile.TarInfo, stream: IO[bytes]) -> None:
    if name.rpartition("/")[2] in (LABELS_FILE, CLASSES_FILE):
        if member.size > _LARGEST_TABLE:
            index.skip(name, f"{member.size} bytes, more than {_LARGEST_TABLE >> 20} MB")
        else:
            index.tables[name] = _content(stream, member).decode("utf-8-sig", "replace")
    elif name.lower().endswith((".cls", ".json")):
        if member.size > _LARGEST_LABEL:
            index.skip(name, f"{member.size} bytes are no label")
            return
        label = _label(name, _content(stream, member))
        if label is not None:
            index.labels[sample_name(name)] = label
    elif is_sound(name) and len(name) <= _LONGEST_NAME:
        index.sounds[name] = [member.offset_data, member.size]
    elif len(index.others) < MOST_LISTED and not is_companion(name):
        index.others.append(name[:200])


def _content(stream: IO[bytes], member: tarfile.TarInfo) -> bytes:
    stream.seek(member.offset_data)
    return stream.read(member.size)


def sample_name(member: str) -> str:
    """What the members of one sample share: the name up to the first dot, with its folders."""
    folder, _, name = member.rpartition("/")
    return f"{folder}/{name.split('.', 1)[0]}"


def _label(member: str, content: bytes) -> str | None:
    """The class of a .cls file (its text) or of a .json file (its label, cls or class)."""
    text = content.decode("utf-8", "replace").strip()
    if member.lower().endswith(".cls"):
        return text if 0 < len(text) <= LONGEST_LABEL else None
    try:
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            return None
        found = next((values[name] for name in ("label", "cls", "class") if name in values), None)
        told = str(found) if isinstance(found, str | int) else ""
    except (ValueError, RecursionError):
        return None
    return told if 0 < len(told) <= LONGEST_LABEL else None


def check_bytes(size: int) -> str:
    """Why a member of this size is not read, or ""."""
    return f"claims {size} bytes, more than {MAX_FILE_BYTES >> 20} MB" if size > MAX_FILE_BYTES else ""

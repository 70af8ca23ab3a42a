"""A zip of a folder, read in place by several threads at once."""

from __future__ import annotations

import os
import re
import struct
import weakref
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import final

from selftaught.core.own_folder import own_prefixes, told_own
from selftaught.data.files.file_kinds import is_hidden, is_picture, is_video
from selftaught.data.files.file_tree import MAX_FILE_BYTES, START_BYTES, FileTree, FolderTree, Unreadable, too_large
from selftaught.data.files.left_out import LeftOut, left_out_as

_LOCAL_HEADER = 30
_LARGEST_DIRECTORY = 256 << 20
_PLAIN = re.compile(r"[^\\/:.]+(?:/[^\\/:.]+)*(?:\.[^\\/:.]+)?")
"""Most names: nothing in them needs a second look."""
_DRIVE = re.compile(r"[A-Za-z]:")
_FAULTS = (
    zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, OverflowError, EOFError, MemoryError,
)  # fmt: skip


class _TooManyMembers(ValueError):  # noqa: N818 - reads as what the archive has
    pass


@final
class ZipTree(FileTree):
    """Files in an archive, or below the folder `inside` it; keys have "/" whatever program made the archive.

    Nothing is unpacked to disk, so that names such as ../x are only names. `zipfile` reads one member at a time;
    reading by offset lets threads read and inflate side by side.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        prefix = f"{inside.strip('/')}/" if inside.strip("/") else ""
        self.where = f"{path}/{prefix}" if prefix else str(path)
        try:
            _check_directory(path)
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if not m.filename.endswith(("/", "\\"))]
                own = own_prefixes(archive.namelist(), lambda name: _start(archive, name))
        except _FAULTS as broken:
            if isinstance(broken, PermissionError | IsADirectoryError | _TooManyMembers):
                raise ValueError(f"{path} cannot be read: {getattr(broken, 'strerror', None) or broken}") from None
            raise ValueError(f"{path} is not a whole zip archive ({broken}); download or pack it again") from None
        keyed = [(_key(member.filename), member) for member in members]
        named = [(key.removeprefix(prefix), member) for key, member in keyed if key.startswith(prefix)]
        own = [_key(place).removeprefix(prefix) + "/" for place in own if _key(place).startswith(prefix.rstrip("/"))]
        if own := [place for place in own if place.strip("/")]:
            named = [(key, m) for key, m in named if not key.startswith(tuple(own))]
            self.notes = [told_own([place.rstrip("/") for place in own])]
        hidden = [key for key, _ in named if _is_hidden(key)]
        kept_aside = set(hidden)
        self._members = {key: m for key, m in named if key not in kept_aside}
        self._count_others(hidden, len(named) - len(hidden) - len(self._members))
        self.keys = sorted(self._members)
        self._file = os.open(path, os.O_RDONLY)
        self._size = os.fstat(self._file).st_size
        weakref.finalize(self, os.close, self._file)

    def _count_others(self, hidden: list[str], twice: int) -> None:
        notes = list(self.notes)
        samples = [key for key in hidden if is_picture(key) or is_video(key)]
        if samples:
            self.left_out = left_out_as("hidden", samples, "hidden, or kept by a system for itself")
            notes.append(
                f"{len(samples)} files that are hidden or kept by a system for itself were left out "
                f"(such as {samples[0]})"
            )
        if twice > 0:
            self.left_out += LeftOut({"same name": twice})
            notes.append(f"{twice} members of {self.where} have the name of a later one, which is read in their place")
        self.notes = notes

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def stamp(self, key: str) -> str:
        member = self._members[key]
        return f"{member.filename}:{member.CRC}:{member.file_size}"

    def read(self, key: str, *, most: int = MAX_FILE_BYTES) -> bytes:
        member = self._members[key]
        if max(member.file_size, member.compress_size) > most:
            raise Unreadable("claims " + too_large(max(member.file_size, member.compress_size), most))
        data = self._packed(member, member.compress_size)
        if member.compress_type == zipfile.ZIP_DEFLATED:
            data = _inflated(data, member.file_size)
        if zlib.crc32(data) != member.CRC:
            raise Unreadable("damaged in the zip: wrong check sum")
        return data

    def start(self, key: str) -> bytes:
        member = self._members[key]
        try:
            data = self._packed(member, min(member.compress_size, START_BYTES))
            is_packed = member.compress_type == zipfile.ZIP_DEFLATED
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, START_BYTES) if is_packed else data
        except (OSError, ValueError, zlib.error):
            return b""

    def _packed(self, member: zipfile.ZipInfo, size: int) -> bytes:
        """The first bytes of a member as they are in the archive."""
        if member.flag_bits & 1:
            raise Unreadable("encrypted in the zip")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(f"compressed in the zip by method {member.compress_type}; use stored or deflate")
        if not 0 <= member.header_offset <= self._size - _LOCAL_HEADER:
            raise Unreadable("its place in the zip is damaged")
        header = os.pread(self._file, _LOCAL_HEADER, member.header_offset)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise Unreadable("its place in the zip is damaged")
        # The lengths of name and extra field may differ from those in the directory at the end of the archive.
        name, extra = struct.unpack_from("<HH", header, 26)
        return os.pread(self._file, size, member.header_offset + _LOCAL_HEADER + name + extra)


def _inflated(data: bytes, size: int) -> bytes:
    """Unpacked content of the size that the archive claims, and no byte more."""
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = unpacking.decompress(data, size + 1)
    except zlib.error as broken:
        raise Unreadable(f"damaged in the zip: {broken}") from None
    if len(content) > size:
        raise Unreadable("damaged in the zip: larger than it claims")
    return content


def _key(name: str) -> str:
    """The name of a member as a relative path with "/": Windows programs write backslashes, hostile ones ../ and C:."""
    if _PLAIN.fullmatch(name):
        return name
    return "/".join(
        step
        for step in name.replace("\\", "/").split("/")
        if step not in ("", ".", "..") and not _DRIVE.fullmatch(step)
    )


def _check_directory(path: Path) -> None:
    """Refuse an archive whose list of members would fill the memory; one that is damaged is not looked at."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16) - 22 - 20))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return
    listed = struct.unpack_from("<I", tail, at + 12)[0]
    wide = tail.rfind(b"PK\6\6", 0, at)  # of zip64, where the length did not fit
    if listed == 0xFFFFFFFF and 0 <= wide <= len(tail) - 56:
        listed = struct.unpack_from("<Q", tail, wide + 40)[0]
    if _LARGEST_DIRECTORY < listed < size:
        raise _TooManyMembers(
            f"its list of members takes {listed >> 20} MB, at most {_LARGEST_DIRECTORY >> 20}; unpack it into a folder"
        )


def archive_of(path: Path) -> Path | None:
    """The zip that `path` is, or is a folder of."""
    return next((p for p in (path, *path.parents) if p.suffix.lower() == ".zip" and p.is_file()), None)


def _start(archive: zipfile.ZipFile, name: str) -> bytes:
    """At most 16 MB of a member, whatever its header says; nothing where it cannot be read."""
    try:
        with archive.open(name) as file:
            return file.read(1 << 24)
    except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return b""


def _is_hidden(key: str) -> bool:
    folder, _, name = key.rpartition("/")
    return is_hidden(name) or _is_in_hidden(folder)


@lru_cache(maxsize=4096)
def _is_in_hidden(folder: str) -> bool:
    return any(map(is_hidden, folder.split("/")))


def open_tree(data: str) -> FileTree:
    """The files of a folder, of a zip, of a folder in a zip, or of the one zip that a folder holds."""

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

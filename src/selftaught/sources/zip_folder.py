"""A zip of a folder, read in place by several threads at once."""

from __future__ import annotations

import os
import struct
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import final

from selftaught.decode import Unreadable
from selftaught.own_folder import own_prefixes, told_own
from selftaught.sources.file_tree import FileTree

_LOCAL_HEADER = 30


@final
class ZipTree(FileTree):
    """Files in an archive, or below the folder `inside` it.

    `zipfile` reads one member at a time; reading by offset lets threads read and inflate side by side.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        prefix = f"{inside.strip('/')}/" if inside.strip("/") else ""
        self.where = f"{path}/{prefix}" if prefix else str(path)
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {
                    m.filename.removeprefix(prefix): m
                    for m in archive.infolist()
                    if m.filename.startswith(prefix) and not m.is_dir() and not _is_hidden(m.filename)
                }
                own = own_prefixes(archive.namelist(), lambda name: _start(archive, name))
        except zipfile.BadZipFile as broken:
            raise ValueError(f"{path} is not a whole zip archive ({broken}); download or pack it again") from None
        if own := [place for place in own if place.startswith(prefix) and place != prefix]:
            own = [place.removeprefix(prefix) for place in own]
            self._members = {key: m for key, m in self._members.items() if not key.startswith(tuple(own))}
            self.notes = [told_own([place.rstrip("/") for place in own])]
        self.keys = sorted(self._members)
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def stamp(self, key: str) -> str:
        member = self._members[key]
        return f"{member.filename}:{member.CRC}:{member.file_size}"

    def read(self, key: str) -> bytes:
        member = self._members[key]
        if member.flag_bits & 1:
            raise Unreadable("encrypted in the zip")
        header = os.pread(self._file, _LOCAL_HEADER, member.header_offset)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise Unreadable("its place in the zip is damaged")
        # The lengths of name and extra field may differ from those in the directory at the end of the archive.
        name, extra = struct.unpack_from("<HH", header, 26)
        data = os.pread(self._file, member.compress_size, member.header_offset + _LOCAL_HEADER + name + extra)
        if member.compress_type == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompress(data, -zlib.MAX_WBITS, member.file_size)
            except zlib.error as broken:
                raise Unreadable(f"damaged in the zip: {broken}") from None
        elif member.compress_type != zipfile.ZIP_STORED:
            raise Unreadable(f"compressed in the zip by method {member.compress_type}; use stored or deflate")
        if zlib.crc32(data) != member.CRC:
            raise Unreadable("damaged in the zip: wrong check sum")
        return data


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


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or any(part.startswith(".") for part in name.split("/"))

"""A zip of a folder of pictures, read in place by several threads at once."""

from __future__ import annotations

import os
import struct
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import final

from selftaught.decode import Unreadable
from selftaught.sources.base import Entry, Source, digest
from selftaught.sources.image_folder import is_picture
from selftaught.sources.layout import CLASSES_FILE, LABELS_FILE, choose_entries, read_layout

_LOCAL_HEADER = 30


@final
class ZipFolder(Source):
    """One split of the pictures in an archive.

    `zipfile` reads one member at a time; reading by offset lets threads read and inflate side by side.
    """

    def __init__(
        self, path: Path, entries: list[Entry], members: list[zipfile.ZipInfo], classes: tuple[str, ...] | None
    ) -> None:
        self.name = str(path)
        self.entries = entries
        self.classes = classes
        self.provides = frozenset({"image", "label"} if classes else {"image"})
        self.fingerprint = digest(f"{m.filename}:{m.CRC}:{m.file_size}" for m in members)
        self._members = members
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, i: int) -> bytes:
        member = self._members[i]
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


def open_zip_folder(
    path: Path, *, split: str, needs: frozenset[str], seed: int, held_out: float, inside: str = ""
) -> ZipFolder:
    """One split of the pictures in the archive `path`, of those below the folder `inside` it if that is given."""
    prefix = f"{inside.strip('/')}/" if inside.strip("/") else ""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {
                m.filename.removeprefix(prefix): m
                for m in archive.infolist()
                if m.filename.startswith(prefix) and not m.is_dir() and not _is_hidden(m.filename)
            }
            texts = {name: archive.read(found[name]).decode("utf-8", "replace") for name in _TEXTS if name in found}
    except zipfile.BadZipFile as broken:
        raise ValueError(f"{path} is not a whole zip archive ({broken}); download or pack it again") from None
    keys = sorted(key for key in found if is_picture(key))
    where = f"{path}/{prefix}" if prefix else str(path)
    if not keys:
        raise ValueError(f"{where} holds no pictures among its {len(found)} files; videos must be unpacked to a folder")
    layout = read_layout(keys, table=texts.get(LABELS_FILE), names=texts.get(CLASSES_FILE), where=where)
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=where)
    return ZipFolder(path, entries, [found[entry.key] for entry in entries], layout.classes)


_TEXTS = (LABELS_FILE, CLASSES_FILE)


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or any(part.startswith(".") for part in name.split("/"))

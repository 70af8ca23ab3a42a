"""The samples of a tar from front to back, plain or compressed, local or at any fsspec URL; nothing of it is kept.

Readable parts of a damaged tar are read. Members are only names: nothing is written to disk.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import fsspec

from selftaught.core.names import one_line
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tars.tar_index import check_bytes, sample_name
from selftaught.data.sources.tars.tar_samples import one_picture_each

COMPRESSION = {".tar": None, ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bz2", ".tar.xz": "xz"}
"""Ends of the names of tars that can be read from front to back -> what fsspec calls their compression."""
_LARGEST_HEADER = 1 << 20
_CHUNK = 1 << 20
_FAULTS = (
    tarfile.TarError, ValueError, OverflowError, LookupError, RecursionError, MemoryError, EOFError,
    zlib.error, lzma.LZMAError, gzip.BadGzipFile,
)  # fmt: skip


class TarSample(NamedTuple):
    """One image of a tar.

    Attributes:
        key: its name in the tar; "" for the damage at which reading ended.
        payload: the encoded image, or why it cannot be read; empty where it was skipped.
        end: bytes of the uncompressed tar that were read so far.
    """

    key: str
    payload: bytes | Unreadable
    end: int


def ending_of(url: str) -> str | None:
    """The ending of `COMPRESSION` that a path or URL has; None for what is no tar."""
    name = url.partition("?")[0].lower()
    return next((ending for ending in COMPRESSION if name.endswith(ending)), None)


def tar_samples(url: str, *, skip: int = 0) -> Iterator[TarSample]:
    """The images of a tar in its order, without the first `skip` of them, whose content is not read.

    Of a sample of several images (members that share the name up to the first dot, one after the other) masks and
    maps are left out.

    Raises:
        OSError: where the tar cannot be opened, or a connection broke; damage is given as a sample instead.
    """
    compression = COMPRESSION[ending_of(url) or ".tar"]
    # One request from the first to the last byte: of the blocks of a cache each would be a request of its own.
    is_http = url.startswith(("http://", "https://"))
    with fsspec.open(url, "rb", compression=compression, **({"block_size": 0} if is_http else {})) as stream:
        forward = _Forward(stream, is_seekable=compression is None and not is_http)
        passed = 0
        for group in _groups(forward, skip):
            chosen, _ = one_picture_each([member.key for member in group], [0] * len(group))
            for i in chosen:
                if passed >= skip:
                    yield group[i]
                passed += 1


@dataclass
class _Forward:
    """A stream for `tarfile` that goes forward only, and that no header makes read more than a header needs."""

    stream: IO[bytes]
    is_seekable: bool
    place: int = 0
    last: bytes = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        self.last = self.content(size)
        return self.last

    def content(self, size: int) -> bytes:
        """`size` bytes, fewer only where the stream ends."""
        parts = []
        while size > 0 and (part := self.stream.read(min(size, _CHUNK))):
            parts.append(part)
            size -= len(part)
            self.place += len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence or not self.place <= offset < 1 << 62:
            raise tarfile.ReadError("a header points back")
        if self.is_seekable:
            self.place = self.stream.seek(offset)
        while self.place < offset and self.content(min(_CHUNK, offset - self.place)):
            pass
        return self.place

    def tell(self) -> int:
        return self.place


def _groups(forward: _Forward, skip: int) -> Iterator[list[TarSample]]:
    """Images that share the name of their sample, one after the other, then the damage where there is some."""
    group: list[TarSample] = []
    passed, count = 0, 0
    fault = ""
    try:
        with tarfile.open(fileobj=forward, mode="r:") as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members.clear()  # tarfile keeps all, half a kilobyte each
                count += 1
                name = member.name.removeprefix("./").lstrip("/")
                if not _is_sample(member, name):
                    continue
                if group and sample_name(group[0].key) != sample_name(name):
                    passed += len(one_picture_each([m.key for m in group], [0] * len(group))[0])
                    yield group
                    group = []
                is_wanted = passed + len(group) >= skip
                group.append(TarSample(name, _content(forward, member) if is_wanted else b"", forward.place))
            fault = _fault_of_end(forward.last, count)
    except _FAULTS as broken:
        reason = " ".join(str(broken).split())[:100] or type(broken).__name__
        fault = f"cut off or damaged after {count} members: {reason}" if count else f"is not a tar archive ({reason})"
    if group:
        yield group
    if fault:
        yield [TarSample("", Unreadable(fault), forward.place)]


def _is_sample(member: tarfile.TarInfo, name: str) -> bool:
    is_hidden = any(step.startswith(".") and step != ".." for step in name.split("/"))
    return member.isfile() and not member.issparse() and not is_hidden and is_picture(name)


def _content(forward: _Forward, member: tarfile.TarInfo) -> bytes | Unreadable:
    if member.size < 0:
        raise tarfile.ReadError("a member claims a negative size")
    if too_large := check_bytes(member.size):
        return Unreadable(too_large)
    forward.seek(member.offset_data)
    data = forward.content(member.size)
    return data if len(data) == member.size else Unreadable(f"cut off in {one_line(member.name[:200])}")


def _fault_of_end(last: bytes, count: int) -> str:
    """Why the tar does not end where its members do: `tarfile` takes a damaged header for the end."""
    if last.strip(b"\0"):
        return f"damaged after {count} members"
    return "" if last else f"cut off after {count} members: the mark of its end is missing"

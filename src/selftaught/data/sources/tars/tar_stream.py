"""The samples of a tar from front to back, plain or compressed, local or at any fsspec URL; nothing of it is kept.

Readable parts of a damaged tar are read. Members are only names: nothing is written to disk.
"""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Literal, NamedTuple, TypeAlias

import fsspec
import numpy as np
from numpy.typing import NDArray

from selftaught.core.names import one_line
from selftaught.data.decode.encoded_video import EncodedVideo, Track, part_of_file
from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_kinds import is_array, is_picture, is_sound, is_video
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tars.tar_index import check_bytes, sample_name
from selftaught.data.sources.tars.tar_samples import one_picture_each
from selftaught.data.sources.videos.sound_files import MUTE, StillVideo

COMPRESSION = {".tar": None, ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bz2", ".tar.xz": "xz"}
"""Ends of the names of tars that can be read from front to back -> what fsspec calls their compression."""
Kind: TypeAlias = Literal["image", "array", "video", "still"]
"""What the samples of a tar are; arrays are images in NumPy files, of tars without others, still are images with a file
of sound of their name beside them."""
NOUNS: Mapping[Kind, str] = {"image": "image", "array": "image", "video": "video", "still": "image"}
"""What one of a kind is called."""
Passing: TypeAlias = bytes | EncodedVideo | StillVideo
"""An encoded image, or a video of which nothing was read yet, where its tar can be read at any place."""
_LARGEST_HEADER = 1 << 20
_CHUNK = 1 << 20
_LOOKED_AT = 8
"""Samples by which it is known what those of a tar are, where they seem to be arrays."""
_FAULTS = (
    tarfile.TarError, ValueError, OverflowError, LookupError, RecursionError, MemoryError, EOFError,
    zlib.error, lzma.LZMAError, gzip.BadGzipFile,
)  # fmt: skip


class TarSample(NamedTuple):
    """One image or video of a tar.

    Attributes:
        key: its name in the tar; "" for the damage at which reading ended.
        payload: what is encoded, or why it cannot be read; empty where it was skipped.
        end: bytes of the uncompressed tar that were read or passed so far.
    """

    key: str
    payload: Passing | Unreadable
    end: int


def ending_of(url: str) -> str | None:
    """The ending of `COMPRESSION` that a path or URL has; None for what is no tar."""
    name = url.partition("?")[0].lower()
    return next((ending for ending in COMPRESSION if name.endswith(ending)), None)


def tar_samples(url: str, *, skip: int = 0, kind: Kind = "image") -> Iterator[TarSample]:
    """The images or videos of a tar in its order, without the first `skip` of them, whose content is not read.

    Of a sample of several images (members that share the name up to the first dot, one after the other) masks and
    maps are left out. A file of sound of the name of a video, next to it, is its sound where it has none of its own.
    Still images stand in front of the sound of their name for as long as it is; those without one cannot be read.

    Raises:
        OSError: where the tar cannot be opened, or a connection broke; damage is given as a sample instead.
    """
    with _opened(url) as forward:
        is_in_place = "://" not in url and COMPRESSION[ending_of(url) or ".tar"] is None
        members = _Members(forward, kind, place=url if is_in_place else "")
        passed = 0
        for group in members.groups(skip):
            chosen = members.samples(group)
            yield from chosen[max(0, skip - passed) :]
            passed += len(chosen)


def holds(url: str) -> frozenset[Kind]:
    """What the first sample of a tar has, an image, a video or both, a sound beside an image; nothing without a sample.

    An array counts where none of the first samples has an image or video.

    Raises:
        OSError: where the tar cannot be opened.
    """
    with _opened(url) as forward:
        has_arrays = False
        for number, group in enumerate(_Members(forward, None).groups(sys.maxsize), start=1):
            names = [member.key for member in group]
            heard = {_stem(name) for name in names if is_sound(name)}
            kinds: dict[Kind, bool] = {
                "image": any(map(is_picture, names)),
                "video": any(map(is_video, names)),
                "still": any(is_picture(name) and _stem(name) in heard for name in names),
            }
            if any(kinds.values()):
                return frozenset(kind for kind, is_there in kinds.items() if is_there)
            has_arrays = has_arrays or any(map(is_array, names))
            if has_arrays and number >= _LOOKED_AT:
                break
    return frozenset({"array"} if has_arrays else ())


@contextmanager
def _opened(url: str) -> Iterator[_Forward]:
    compression = COMPRESSION[ending_of(url) or ".tar"]
    # One request from the first to the last byte: of the blocks of a cache each would be a request of its own.
    is_http = url.startswith(("http://", "https://"))
    with fsspec.open(url, "rb", compression=compression, **({"block_size": 0} if is_http else {})) as stream:
        yield _Forward(stream, is_seekable=compression is None and not is_http)


def _stem(name: str) -> str:
    return name[: name.rfind(".")]


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


class _Members:
    """The members of a tar that belong to samples of a kind, of any kind where it is None.

    `place` is the path of a tar of which videos can be read later; "" where their content must be read as it passes.
    """

    def __init__(self, forward: _Forward, kind: Kind | None, *, place: str = "") -> None:
        self._forward, self._kind, self._place = forward, kind, place

    def groups(self, skip: int) -> Iterator[list[TarSample]]:
        """Members that share the name of their sample, one after the other, then the damage where there is some.

        Those of the first `skip` samples are not read.
        """
        group: list[TarSample] = []
        passed, count = 0, 0
        fault = ""
        try:
            with tarfile.open(fileobj=self._forward, mode="r:") as archive:  # type: ignore[call-overload]
                while (member := archive.next()) is not None:
                    archive.members.clear()  # tarfile keeps all, half a kilobyte each
                    count += 1
                    name = member.name.removeprefix("./").lstrip("/")
                    if not self._is_wanted(member, name):
                        continue
                    if group and sample_name(group[0].key) != sample_name(name):
                        passed += len(self.samples(group))
                        yield group
                        group = []
                    before = sum(not is_sound(one.key) for one in group)
                    is_read = passed + before >= skip or (is_sound(name) and self._kind is not None)
                    group.append(self._sample(member, name) if is_read else TarSample(name, b"", self._forward.place))
                fault = _fault_of_end(self._forward.last, count)
        except _FAULTS as broken:
            reason = " ".join(str(broken).split())[:100] or type(broken).__name__
            fault = (
                f"cut off or damaged after {count} members: {reason}" if count else f"is not a tar archive ({reason})"
            )
        if group:
            yield group
        if fault:
            yield [TarSample("", Unreadable(fault), self._forward.place)]

    def samples(self, group: list[TarSample]) -> list[TarSample]:
        """The samples among the members of a group: images without masks, or what has the sound beside it."""
        if self._kind in (None, "image", "array"):
            return [group[i] for i in one_picture_each([member.key for member in group], [0] * len(group))[0]]
        tracks: dict[str, Track] = {}
        for one in group:
            if is_sound(one.key) and isinstance(one.payload, EncodedVideo):
                tracks.setdefault(_stem(one.key), one.payload.open)
        return [self._heard(one, tracks.get(_stem(one.key))) for one in group if not is_sound(one.key)]

    def _heard(self, one: TarSample, track: Track | None) -> TarSample:
        """A video or an image with its sound."""
        seen = one.payload
        if not isinstance(seen, EncodedVideo):
            return one
        if self._kind == "still":
            still = Unreadable(MUTE) if track is None else StillVideo(partial(_image_of, seen), track)
            return one._replace(payload=still)
        return one if track is None else one._replace(payload=EncodedVideo(seen.open, track))

    def _is_wanted(self, member: tarfile.TarInfo, name: str) -> bool:
        is_hidden = any(step.startswith(".") and step != ".." for step in name.split("/"))
        if is_hidden or not member.isfile() or member.issparse():
            return False
        if is_sound(name):
            return self._kind not in ("image", "array")
        if is_array(name):
            return self._kind in (None, "array")
        return (is_picture(name) and self._kind in (None, "image", "still")) or (
            is_video(name) and self._kind in (None, "video")
        )

    def _sample(self, member: tarfile.TarInfo, name: str) -> TarSample:
        if member.size < 0:
            raise tarfile.ReadError("a member claims a negative size")
        if self._kind == "still" and is_picture(name) and (too_large := check_bytes(member.size)):
            return TarSample(name, Unreadable(too_large), self._forward.place)
        if self._kind in ("video", "still") and self._place:
            place, start, size = self._place, member.offset_data, member.size
            return TarSample(name, EncodedVideo(lambda: part_of_file(place, start, size)), start + size)
        data = self._content(member)
        if self._kind in ("video", "still") and isinstance(data, bytes):
            return TarSample(name, EncodedVideo(lambda: io.BytesIO(data)), self._forward.place)
        return TarSample(name, data, self._forward.place)

    def _content(self, member: tarfile.TarInfo) -> bytes | Unreadable:
        if too_large := check_bytes(member.size):
            return Unreadable(too_large)
        self._forward.seek(member.offset_data)
        data = self._forward.content(member.size)
        return data if len(data) == member.size else Unreadable(f"cut off in {one_line(member.name[:200])}")


def _image_of(member: EncodedVideo) -> NDArray[np.uint8]:
    file = member.open()
    assert not isinstance(file, str)
    with file:
        return decode_image(file.read())


def _fault_of_end(last: bytes, count: int) -> str:
    """Why the tar does not end where its members do: `tarfile` takes a damaged header for the end."""
    if last.strip(b"\0"):
        return f"damaged after {count} members"
    return "" if last else f"cut off after {count} members: the mark of its end is missing"

"""The one image of an encoded file that has no name: a member of a tar, or a cell of a table."""

from __future__ import annotations

from typing import final

from selftaught.data.decode.containers.opening import Reading, open_images
from selftaught.data.decode.image import Decoding
from selftaught.data.decode.values import Values
from selftaught.data.files.file_kinds import is_dicom
from selftaught.data.files.file_tree import MAX_FILE_BYTES, FileTree, Unreadable, too_large

_NUMPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def only_image(data: bytes, reading: Reading) -> bytes | Values:
    """The image of a file of any kind, as a folder gives it: bytes of one in a common format stay as they are.

    What it is follows from its first bytes. A stack is no image, but as channels, or as its first page where colours
    are read from a TIFF file.

    Raises:
        Unreadable: with the reason.
    """
    suffix = _suffix(data)
    if reading.is_usual and not suffix:
        return data
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable(too_large(len(data), MAX_FILE_BYTES))
    if not data:
        raise Unreadable("empty file")
    name = f"image{suffix}"
    file = open_images(_Content(name, data), name, reading)
    if file is None:
        return data
    if len(file.names) == 1:
        return file.read(0)
    if reading.is_usual and suffix == ".tif":
        return data
    raise Unreadable(
        f"holds {len(file.names)} images, and a member of a tar or a cell of a table gives one; store each by itself, "
        "or give a folder of such files"
    )


def reading_of(decoding: Decoding) -> Reading:
    """How images are taken from files that are decoded like this."""
    return Reading(decoding.depth, max_pixels=decoding.max_pixels)


def _suffix(data: bytes) -> str:
    """The usual one of a file that may hold other than colours, by its first bytes; "" of all others."""
    if data[:4] in _TIFF:
        return ".tif"
    if data.startswith(_NUMPY):
        return ".npy"
    if data.startswith(_ZIP):
        return ".npz"
    return ".dcm" if is_dicom(data[:132]) else ""


@final
class _Content(FileTree):
    """A single file in memory."""

    def __init__(self, key: str, data: bytes) -> None:
        self.where, self.keys, self._data = key, [key], data

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def read(self, key: str, *, most: int = MAX_FILE_BYTES) -> bytes:
        return self._data

    def stamp(self, key: str) -> str:
        return key

"""A file of a folder or zip becomes images: by its name and first bytes it is known which reader it needs."""

from __future__ import annotations

import io
import mmap
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selftaught.core.settings.values import COLOURS
from selftaught.data.decode.containers.base import BrokenFile, ImageFile, Place
from selftaught.data.decode.containers.plain import PlainFile
from selftaught.data.decode.containers.tiles import TiledFile
from selftaught.data.decode.image import MAX_PIXELS, Decoding
from selftaught.data.decode.image_header import is_plain_tiff
from selftaught.data.decode.values import Values
from selftaught.data.files.file_kinds import (
    DICOM_SUFFIXES,
    HAS_PYDICOM,
    HAS_TIFFFILE,
    SLIDE_SUFFIXES,
    TIFF_SUFFIXES,
    is_array,
    is_dicom,
    suffix_of,
)
from selftaught.data.files.file_tree import FileTree, Unreadable, alone
from selftaught.data.files.hints import Hints


@dataclass(frozen=True)
class Reading:
    """How images are taken from files.

    Attributes:
        channels: of each image; 3 are colours, or grey shown in colours.
        tile: side of the tiles that larger images are cut into, pixels; None leaves them whole.
        overlap: share of a tile's side, in [0, 1).
        max_pixels: an image that must be decoded whole may have.
    """

    channels: int = COLOURS
    tile: int | None = None
    overlap: float = 0.0
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, hints: Hints) -> Reading:
        """What people say of data."""
        return cls(hints.channels, hints.tile, hints.overlap, hints.max_image_pixels)

    @property
    def is_usual(self) -> bool:
        """Whether common image files are read as they are."""
        return self.channels == COLOURS and self.tile is None


USUAL_READING = Reading()


def open_images(tree: FileTree, key: str, reading: Reading) -> ImageFile | None:
    """The images of a file; None for one in a common format that is read as it is."""
    try:
        found = _open(tree, key, reading)
        if found is None or reading.tile is None:
            return found
        return TiledFile(found, side=reading.tile, overlap=reading.overlap)
    except (OSError, ValueError) as broken:
        return BrokenFile(getattr(broken, "strerror", None) or str(broken) or type(broken).__name__)


def read_alone(path: Path, decoding: Decoding, *, tile: int | None = None, overlap: float = 0.0) -> bytes | Values:
    """The only image of a file of any kind, or the one that `FILE#NAME` says; raises an OSError or `Unreadable`.

    With the `tile` and `overlap` of a `Reading` the name may also be that of a tile: `FILE#X,Y` or `FILE#NAME#X,Y`.
    """
    path, name = _of_one(path)
    tree = alone(path)
    is_tile = name is not None and _TILE.search(name) is not None
    if is_tile and tile is None:
        raise Unreadable(f"#{name} of {path.name} is a tile, but images are read whole here; leave its place out")
    reading = Reading(decoding.depth, tile if is_tile else None, overlap, decoding.max_pixels)
    file = open_images(tree, path.name, reading)
    if file is None:
        if name is not None:
            raise Unreadable(f"{path.name} holds one image; leave out #{name}")
        return tree.read(path.name)
    if name is None and len(file.names) > 1:
        raise Unreadable(f"holds {len(file.names)} images; name one of them, such as {path.name}#{file.names[0]}")
    if name is not None and name not in file.names:
        if len(file.names) == 1 and not is_tile:
            raise Unreadable(f"{path.name} holds one image; leave out #{name}")
        shown = ", ".join(file.names[:3]) + (" ..." if len(file.names) > 3 else "")
        raise Unreadable(f"{path.name} holds no {'tile' if is_tile else 'image'} {name}, but {shown}")
    return file.read(0 if name is None else file.names.index(name))


_TILE = re.compile(r"(^|#)\d+,\d+$")


def _of_one(path: Path) -> tuple[Path, str | None]:
    """The file, and the name of the image in it that is meant; None where the path says none."""
    at = path.name.find("#")
    while at > 0 and not path.exists():
        if path.with_name(path.name[:at]).is_file():
            return path.with_name(path.name[:at]), path.name[at + 1 :]
        at = path.name.find("#", at + 1)
    return path, None


def _open(tree: FileTree, key: str, reading: Reading) -> ImageFile | None:
    suffix = suffix_of(key)
    if is_array(key):
        from selftaught.data.decode.containers.arrays import ArrayFile

        return ArrayFile(_place(tree, key), key, reading.channels)
    if HAS_PYDICOM and (suffix in DICOM_SUFFIXES or (not suffix and is_dicom(tree.start(key)))):
        from selftaught.data.decode.containers.dicom import DicomFile

        return DicomFile(_place(tree, key), key, reading.channels)
    if HAS_TIFFFILE and suffix in TIFF_SUFFIXES and _needs_tifffile(tree, key, reading):
        from selftaught.data.decode.containers.tiff import TiffImages

        return TiffImages(_place(tree, key), key, reading.channels)
    if reading.is_usual:
        return None
    return PlainFile(lambda: tree.read(key), channels=reading.channels, max_pixels=reading.max_pixels)


def _place(tree: FileTree, key: str) -> Place:
    return tree.local(key) or io.BytesIO(tree.read(key))


def _needs_tifffile(tree: FileTree, key: str, reading: Reading) -> bool:
    """Whether a TIFF file is more than one plain image; its directories are read, and no pixel."""
    if not reading.is_usual or suffix_of(key) in SLIDE_SUFFIXES:
        return True
    with suppress(OSError, ValueError, Unreadable):
        path = tree.local(key)
        if path is None:
            return not is_plain_tiff(tree.read(key))
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
            return not is_plain_tiff(data)
    return False

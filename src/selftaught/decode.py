"""Encoded pictures to RGB: libjpeg-turbo for common JPEG files, Pillow for the rest, one exception for broken ones."""

from __future__ import annotations

import importlib
import importlib.util
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 200_000_000
"""A picture that claims more in its header is refused before it is decoded."""
MAX_FILE_BYTES = 256 << 20
"""An encoded picture is no larger; a header or a list that claims more is refused before that is read."""
MIN_SIDE = 4
"""A picture with a shorter side shows nothing to learn from; a 1 x 1 file is a tracking pixel, not a photograph."""

_OPENING = threading.Lock()


class Unreadable(ValueError):  # noqa: N818 - reads as what the picture is
    """A picture that cannot or must not be decoded; the text is the reason, for the list of skipped files."""


class _JpegHeader(NamedTuple):
    width: int
    height: int
    components: int
    orientation: int


class Scratch:
    """Memory that one thread decodes into again and again: fresh memory for each picture costs as much as half of
    the decoding in page faults. What `decode_image` gives is then valid until the next call.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def of(self, size: int) -> bytearray | None:
        """At least `size` bytes, or None for a picture so large that its memory should not be kept."""
        if size > _LARGEST_SCRATCH:
            return None
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        return self._buffer


_LARGEST_SCRATCH = 64 << 20


def decode_image(
    data: bytes, *, min_side: int | None = None, scratch: Scratch | None = None, upright: bool = True
) -> NDArray[np.uint8]:
    """Decode one picture to (H, W, 3) uint8 RGB, upright by its EXIF orientation, transparency over white.

    Animations give their first frame, 16-bit pictures their high byte. Safe to call from several threads.

    Args:
        data: the encoded file.
        min_side: allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as no side falls below this many
            pixels; a picture that is smaller is never enlarged.
        scratch: memory to decode a JPEG into.
        upright: False leaves the pixels as they are stored.

    Raises:
        Unreadable: with the reason.
    """
    if not data:
        raise Unreadable("empty file")
    header = _jpeg_header(data)
    if header is not None and header.components in (1, 3):
        _check_size(header.width, header.height)
        try:
            factor = _factor(header, min_side) if min_side else 1
            pixels = simplejpeg.decode_jpeg(
                data,
                min_height=-(-header.height // factor) if factor > 1 else 0,
                min_width=-(-header.width // factor) if factor > 1 else 0,
                min_factor=factor,
                buffer=scratch.of(3 * header.width * header.height) if scratch else None,
            )
        except ValueError:
            # Recoverable faults (stray bytes between markers) are common in web pictures: Pillow reads those and
            # refuses the truncated ones.
            return _decode_with_pillow(data, upright=upright)
        return _upright(pixels, header.orientation) if upright and header.orientation != 1 else pixels
    return _decode_with_pillow(data, upright=upright)


def decode_indices(data: bytes) -> NDArray[np.generic]:
    """The numbers of a mask (H, W), of its palette where it has one; (H, W, 3) RGB of a mask in colour.

    Raises:
        Unreadable: with the reason.
    """
    with _reasons():
        with _quiet_open(data) as image:
            _check_size(image.width, image.height)
        image.load()
        if image.mode in ("1", "L", "P", "I") or image.mode.startswith("I;"):
            values = np.asarray(image)
            return values.astype(np.uint8) if values.dtype == np.bool_ else values
        return np.asarray(image.convert("RGB"))


def image_size(data: bytes) -> tuple[int, int]:
    """(height, width) in pixels from the header alone, before any EXIF rotation; raises `Unreadable`."""
    header = _jpeg_header(data)
    if header is not None:
        return header.height, header.width
    with _reasons(), _quiet_open(data) as image:
        return image.height, image.width


def _factor(header: _JpegHeader, min_side: int) -> int:
    """How many times smaller to decode; libjpeg-turbo's other scales have no SIMD code and cost more than full size."""
    short = min(header.width, header.height)
    return next((factor for factor in (8, 4, 2) if -(-short // factor) >= min_side), 1)


def _decode_with_pillow(data: bytes, *, upright: bool) -> NDArray[np.uint8]:
    with _reasons():
        with _quiet_open(data) as image:
            _check_size(image.width, image.height)
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        # Out of the lock: decoding releases the GIL and may take long.
        image.load()
        pixels = _to_rgb(image)
        if upright and orientation in _TURNED and image.format != "TIFF":  # Pillow turns a TIFF itself while loading
            pixels = _upright(pixels, orientation)
        return pixels


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        return _from_high_range(np.asarray(image), sixteen_bit=image.mode != "F")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        white.alpha_composite(over)
        image = white
    return np.array(image.convert("RGB"))


def _from_high_range(values: NDArray[np.generic], *, sixteen_bit: bool) -> NDArray[np.uint8]:
    """Grey (H, W) of 16 or 32 bits to RGB; Pillow's own conversion clips at 255, which turns most pictures white."""
    wide = np.nan_to_num(values.astype(np.float64))
    top = wide.max()
    scale = (1 / 256 if top > 255 else 1.0) if sixteen_bit else (255.0 if top <= 1 else 1.0)
    grey = wide * scale
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Unreadable(f"claims {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million")
    if min(width, height) < MIN_SIDE:
        raise Unreadable(f"only {width} x {height} pixels")


@contextmanager
def _quiet_open(data: bytes) -> Iterator[Image.Image]:
    """Pillow's view of the header, with its warnings kept in and its pixel limit set to ours.

    Both are settings of the process, so one thread at a time changes them, and only while it reads a header.
    """
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if data[4:8] == b"ftyp":
            _register_heif()
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses at twice its limit
        try:
            yield Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@lru_cache(maxsize=1)
def _register_heif() -> None:
    """Have Pillow read the pictures of phones where pillow-heif is installed."""
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()


@contextmanager
def _reasons() -> Iterator[None]:
    """Whatever a broken file makes Pillow raise (its plugins raise SyntaxError, struct.error ...) is one exception."""
    try:
        yield
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not a picture in a known format") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"claims more than {MAX_PIXELS // 1_000_000} million pixels") from None
    except Exception as broken:
        reason = " ".join(str(broken).split())
        raise Unreadable(reason or type(broken).__name__) from broken


_ORIENTATION_TAG = 0x0112
# EXIF orientation to (quarter turns counter-clockwise, then mirrored left to right).
_TURNED = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    turns, mirrored = _TURNED.get(orientation, (0, False))
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _jpeg_header(data: bytes) -> _JpegHeader | None:
    """Size, components and EXIF orientation by a walk over the segments; None if this is not a whole JPEG header."""
    if data[:2] != b"\xff\xd8":
        return None
    at, end, orientation = 2, len(data), 1
    while at + 4 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if at + 10 > end:
                return None
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return _JpegHeader(width, height, data[at + 9], orientation)
        length = int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
    return None


def _exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory of a TIFF block, 1 where there is none or the block is broken."""
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
    start = int.from_bytes(tiff[4:8], order)
    for entry in range(int.from_bytes(tiff[start : start + 2], order)):
        at = start + 2 + 12 * entry
        if int.from_bytes(tiff[at : at + 2], order) == _ORIENTATION_TAG:
            found = int.from_bytes(tiff[at + 8 : at + 10], order)
            return found if found in _TURNED else 1
        if at > len(tiff):
            break
    return 1

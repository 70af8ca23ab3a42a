"""Encoded images to RGB: libjpeg-turbo for common JPEG files, OpenCV for more than eight bits, Pillow for the rest.

Broken images raise one kind of exception; memory and time are bounded by the number of pixels.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from selftaught.core.settings.values import COLOURS, ValueRange
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.high_depth import decode_deep, to_uint8
from selftaught.data.decode.image_header import (
    ORIENTATION_TAG,
    DeepHeader,
    JpegHeader,
    bare,
    deep_header,
    jpeg_header,
    orientation_of,
)
from selftaught.data.decode.memory import needed, room_for
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import MAX_FILE_BYTES, Unreadable

MAX_PIXELS = 64_000_000
"""An image that claims more in its header is refused before it is decoded, unless `Decoding` says otherwise."""
MIN_SIDE = 4
"""An image with a shorter side shows nothing to learn from; a 1 x 1 file is a tracking pixel, not a photograph."""
MAX_SCANS = 100
"""Of a progressive JPEG; encoders write about ten, and each is a pass over the whole image."""

_USUAL_SCANS, _MAX_SCANNED = 12, 6
"""Scans that every image may have, and the times the pixel limit that more of them may pass over together."""
_MAX_NEEDED = 16
"""Bytes that decoding may take for each pixel of the limit."""
_STRIP = 1 << 22
_OPENING = threading.Lock()
# Others that Pillow knows start programs (EPS) or hold no photographs.
_FORMATS = (
    *(
        "JPEG",
        "MPO",
        "PNG",
        "GIF",
        "WEBP",
        "TIFF",
        "BMP",
        "DIB",
        "PPM",
        "JPEG2000",
        "AVIF",
        "TGA",
        "HEIF",
        "PCX",
        "SGI",
    ),
    *("QOI", "MSP", "XBM"),
)


@dataclass(frozen=True)
class Decoding:
    """How all images of a data set are decoded.

    Attributes:
        value_range: of images of more than eight bits; None shows integers by the range of 16 bits, others from 0 to 1.
        max_pixels: an image that claims more is refused.
        channels: the range of each channel, where images do not have the three of colours; else empty.
    """

    value_range: ValueRange | None = None
    max_pixels: int = MAX_PIXELS
    channels: tuple[ValueRange, ...] = field(default=(), repr=False)

    @property
    def stamp(self) -> str:
        """A text that changes with what decoding gives."""
        return f"{self!r}{self.channels or ''}"

    @property
    def depth(self) -> int:
        """Channels of a decoded image."""
        return len(self.channels) or COLOURS


USUAL = Decoding()


class Scratch:
    """Memory that one thread decodes into again and again: fresh memory for each image costs as much as half of
    the decoding in page faults. What `decode_image` gives is then valid until the next call.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def of(self, size: int) -> bytearray | None:
        """At least `size` bytes, or None for an image so large that its memory should not be kept."""
        if size > _LARGEST_SCRATCH:
            return None
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        return self._buffer


_LARGEST_SCRATCH = 64 << 20


def decode_image(
    data: bytes,
    *,
    min_side: int | None = None,
    scratch: Scratch | None = None,
    upright: bool = True,
    decoding: Decoding = USUAL,
) -> NDArray[np.uint8]:
    """Decode one image to (H, W, 3) uint8 RGB, upright by its EXIF orientation, transparency over white.

    Animations and files of several pages give their first. Safe to call from several threads.

    Args:
        data: the encoded file.
        min_side: allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as no side falls below this many
            pixels; an image that is smaller is never enlarged.
        scratch: memory to decode a JPEG into.
        upright: False leaves the pixels as they are stored.
        decoding: how deep images are shown and how large one may be.

    Raises:
        Unreadable: with the reason.
    """
    if not data:
        raise Unreadable("empty file")
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable(f"{len(data) >> 20} MB, more than {MAX_FILE_BYTES >> 20}")
    header = jpeg_header(data)
    deep = deep_header(data) if header is None else None
    if deep is not None:
        pixels, orientation = _decode_deep(data, deep, decoding), orientation_of(data)
    elif header is not None:
        pixels, orientation = _decode_jpeg(data, header, min_side, scratch, decoding.max_pixels), header.orientation
    else:
        pixels, orientation = _decode_with_pillow(data, decoding)
    return upright_as(pixels, orientation) if upright else pixels


def rgb_of(image: Image.Image, decoding: Decoding = USUAL) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of an image that Pillow has opened, with the values that `decode_image` gives it.

    But for JPEG files, which are decoded here by another library.
    """
    return _to_rgb(ImageOps.exif_transpose(image), decoding.value_range)


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) as JPEG of quality 90, with colours at half resolution as videos have them."""
    return bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorsubsampling="420"))


def decode_values(data: bytes) -> NDArray[np.generic] | None:
    """The numbers (H, W, C) of an image of more than eight bits, as stored; None for another or a broken one."""
    header = deep_header(data)
    with suppress(Unreadable):
        if header is not None:
            _check_size(header.width, header.height, MAX_PIXELS)
            return decode_deep(bare(data))
    return None


def decode_indices(data: bytes) -> NDArray[np.generic]:
    """The numbers of a mask (H, W), of its palette where it has one; (H, W, 3) RGB of a mask in colour.

    Raises:
        Unreadable: with the reason.
    """
    with _reasons():
        with _quiet_open(data) as image:
            _check_size(image.width, image.height, MAX_PIXELS)
        image.load()
        if image.mode in ("1", "L", "P", "I") or image.mode.startswith("I;"):
            values = np.asarray(image)
            return values.astype(np.uint8) if values.dtype == np.bool_ else values
        return np.asarray(image.convert("RGB"))


def image_size(data: bytes) -> tuple[int, int]:
    """(height, width) in pixels from the header alone, before any EXIF rotation; raises `Unreadable`."""
    header = jpeg_header(data) or deep_header(data)
    if header is not None:
        return header.height, header.width
    with _reasons(), _quiet_open(bare(data)) as image:
        return image.height, image.width


def _decode_jpeg(
    data: bytes, header: JpegHeader, min_side: int | None, scratch: Scratch | None, max_pixels: int
) -> NDArray[np.uint8]:
    size = header.width * header.height
    _check_size(header.width, header.height, max_pixels)
    is_slow = header.scans > _USUAL_SCANS and header.scans * size > _MAX_SCANNED * max_pixels
    if header.scans > MAX_SCANS or is_slow:
        raise Unreadable(f"a progressive JPEG of {header.scans} scans, which takes too long to decode")
    if header.components not in (1, 3):
        return _decode_with_pillow(data, Decoding(max_pixels=max_pixels))[0]
    factor = _factor(header, min_side) if min_side else 1
    height, width = -(-header.height // factor), -(-header.width // factor)
    kind = "progressive JPEG" if header.is_progressive else "JPEG"
    room = needed(kind, header.width, header.height) if factor == 1 or header.is_progressive else 3 * height * width
    try:
        with room_for(room):
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
                data,
                min_height=height if factor > 1 else 0,
                min_width=width if factor > 1 else 0,
                min_factor=factor,
                buffer=scratch.of(3 * height * width) if scratch else None,
            )
        return pixels
    except ValueError:
        # Recoverable faults (stray bytes between markers) are common in web images: Pillow reads those and
        # refuses the truncated ones.
        return _decode_with_pillow(data, Decoding(max_pixels=max_pixels))[0]


def _factor(header: JpegHeader, min_side: int) -> int:
    """How many times smaller to decode; libjpeg-turbo's other scales have no SIMD code and cost more than full size."""
    short = min(header.width, header.height)
    return next((factor for factor in (8, 4, 2) if -(-short // factor) >= min_side), 1)


def _decode_deep(data: bytes, header: DeepHeader, decoding: Decoding) -> NDArray[np.uint8]:
    _check_size(header.width, header.height, decoding.max_pixels)
    size = header.width * header.height * (header.bytes_per_pixel + 4)
    _check_needed(size, decoding.max_pixels)
    plain = bare(data)
    with room_for(size):
        values = decode_deep(plain)
        if values is not None:
            _check_size(values.shape[1], values.shape[0], decoding.max_pixels)
            return to_uint8(values, decoding.value_range, is_inverted=header.is_inverted)
    return _decode_with_pillow(plain, decoding)[0]  # takes its own room


def _decode_with_pillow(data: bytes, decoding: Decoding) -> tuple[NDArray[np.uint8], int]:
    """Pixels as stored, and their EXIF orientation."""
    with _reasons():
        with _quiet_open(bare(data)) as image:
            _check_size(image.width, image.height, decoding.max_pixels)
            size = needed(image.format or "", image.width, image.height)
            _check_needed(size, decoding.max_pixels)
            orientation = orientation_of(data)
            if image.format in ("AVIF", "HEIF"):
                with suppress(Exception):
                    orientation = image.getexif().get(ORIENTATION_TAG, 1)
        # Out of the lock: decoding releases the GIL and may take long.
        with room_for(size):
            image.load()
            return _to_rgb(image, decoding.value_range), orientation


def _to_rgb(image: Image.Image, value_range: ValueRange | None) -> NDArray[np.uint8]:
    """In strips, as each step makes a copy."""
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        return _strip_to_rgb(image, value_range)
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        out[top : top + rows] = _strip_to_rgb(strip, value_range)
    return out


def _strip_to_rgb(image: Image.Image, value_range: ValueRange | None) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        return to_uint8(np.asarray(image)[:, :, None], value_range)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        white.alpha_composite(over)
        image = white
    return np.array(image.convert("RGB"))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Unreadable(
            f"claims {width} x {height} pixels, more than {max_pixels / 1e6:.3g} million; "
            "--max-image-pixels raises the limit"
        )
    if min(width, height) < MIN_SIDE:
        raise Unreadable(f"only {width} x {height} pixels")


def _check_needed(size: int, max_pixels: int) -> None:
    if size > _MAX_NEEDED * max_pixels:
        raise Unreadable(f"needs about {size / 1e9:.1f} GB to be decoded; --max-image-pixels raises the limit")


def _formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@contextmanager
def _quiet_open(data: bytes) -> Iterator[Image.Image]:
    """Pillow's view of the header, with its warnings kept in and without its pixel limit, as ours is checked next.

    Both are settings of the process, so one thread at a time changes them, and only while it reads a header.
    """
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if data[4:8] == b"ftyp":
            _register_heif()
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield Image.open(io.BytesIO(data), formats=_formats())
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@lru_cache(maxsize=1)
def _register_heif() -> None:
    """Have Pillow read the images of phones where pillow-heif is installed."""
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
        raise Unreadable("not an image in a known format") from None
    except MemoryError:
        raise Unreadable("needs more memory than there is") from None
    except Exception as broken:
        reason = " ".join(str(broken).split())
        raise Unreadable(reason or type(broken).__name__) from broken


Value = TypeVar("Value", bound=np.generic)
# EXIF orientation to (quarter turns counter-clockwise, then mirrored left to right).
_TURNED = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


def upright_as(pixels: NDArray[Value], orientation: int) -> NDArray[Value]:
    """Pixels (H, W) or (H, W, C) turned as an EXIF orientation says."""
    turns, mirrored = _TURNED.get(orientation, (0, False))
    if not turns and not mirrored:
        return pixels
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


Payload: TypeAlias = "bytes | NDArray[np.uint8] | Values | str | EncodedVideo | FrameSequence"
"""Encoded image, decoded image (H, W, 3) uint8, an image of other numbers, the local path of a video,
one in a larger file, or frames of none."""

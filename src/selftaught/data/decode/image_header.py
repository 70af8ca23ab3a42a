"""What an encoded image says before a pixel is decoded: size, orientation, depth and further pages.

Read here and not by Pillow, so that a broken or huge piece of metadata costs no image, and so that the orientation
does not depend on which decoder reads the pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from typing import Literal, NamedTuple, cast

ORIENTATION_TAG = 0x0112
_SAMPLES, _PLANAR = 0x0115, 0x011C
_PNG = b"\x89PNG\r\n\x1a\n"
_TYPE_BYTES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of the unsigned integers of TIFF, by the number of their type."""
_Order = Literal["little", "big"]


class JpegHeader(NamedTuple):
    """Of the first frame; `orientation` as EXIF numbers it, `scans` of the whole file."""

    width: int
    height: int
    components: int
    orientation: int
    is_progressive: bool
    scans: int


class DeepHeader(NamedTuple):
    """Of an image whose samples have more than eight bits, or a sign, or a point."""

    width: int
    height: int
    bytes_per_pixel: int
    is_inverted: bool = False
    """White is zero."""


def jpeg_header(data: bytes) -> JpegHeader | None:
    """By a walk over the segments; None if this is not a whole JPEG header."""
    orientation = 1
    for marker, start, end in _segments(data):
        if marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            orientation = _exif_orientation(data[start + 6 : end])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if start + 6 > len(data):
                return None
            height, width = int.from_bytes(data[start + 1 : start + 3]), int.from_bytes(data[start + 3 : start + 5])
            is_progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            # Within coded data a marker's first byte never stands alone, so this counts markers.
            scans = data.count(b"\xff\xda", end) if is_progressive else 1
            return JpegHeader(width, height, data[start + 5], orientation, is_progressive, scans)
    return None


def orientation_of(data: bytes) -> int:
    """EXIF orientation, 1 to 8, of a JPEG, PNG, WebP or TIFF; 1 where it is absent, broken or no such number."""
    with suppress(LookupError, struct.error):
        if data[:2] == b"\xff\xd8":
            header = jpeg_header(data)
            return header.orientation if header else 1
        if data[:8] == _PNG:
            blocks = [data[start:end] for kind, start, end in _png_chunks(data) if kind == b"eXIf"]
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            blocks = [data[start:end] for kind, start, end in _webp_chunks(data) if kind == b"EXIF"]
        else:
            blocks = [data] if _is_tiff(data) else []
        return _exif_orientation(blocks[0].removeprefix(b"Exif\0\0")) if blocks else 1
    return 1


def bare(data: bytes) -> bytes:
    """The same image without its metadata, as far as this can be cut out; the orientation of a TIFF becomes 1."""
    if data[:2] == b"\xff\xd8":
        dropped = [
            (start - 4, end)
            for marker, start, end in _segments(data)
            if marker == 0xFE or (0xE1 <= marker <= 0xEF and marker != 0xEE)  # Adobe's has the colour space
        ]
    elif data[:8] == _PNG:
        dropped = [(start - 8, end + 4) for kind, start, end in _png_chunks(data) if kind[0] & 0x20 and kind != b"tRNS"]
    elif _is_tiff(data):
        return _turned_back(data)
    else:
        dropped = []
    kept, at = [], 0
    for start, end in dropped:
        kept.append(data[at:start])
        at = end
    return b"".join([*kept, data[at:]]) if dropped else data


def deep_header(data: bytes) -> DeepHeader | None:
    """Of a PNG, TIFF, PGM, PPM or JPEG 2000 with more than eight bits a sample; None for every other image."""
    with suppress(LookupError, struct.error, ValueError):
        if data[:8] == _PNG:
            width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
            return DeepHeader(width, height, 8 if kind & 6 else 2) if bits == 16 else None
        if data[:2] in (b"P2", b"P3", b"P5", b"P6"):
            return _deep_pnm(data)
        if _is_tiff(data):
            return _deep_tiff(data)
        if data[4:8] == b"jP  " or data[:4] == b"\xff\x4f\xff\x51":
            return _deep_jpeg2000(data)
    return None


def has_more_pages(data: bytes) -> bool:
    """Whether a GIF, WebP, PNG or AVIF is an animation, or a TIFF has a second page that is no thumbnail."""
    with suppress(LookupError, struct.error):
        if data[:4] == b"GIF8":
            return _gif_images(data) > 1
        if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
            return bool(data[20] & 2)
        if data[:8] == _PNG:
            frames = [
                int.from_bytes(data[start : start + 4]) for kind, start, _ in _png_chunks(data) if kind == b"acTL"
            ]
            return bool(frames) and frames[0] > 1
        if data[4:12] == b"ftypavis":
            return True
        if _is_tiff(data):
            order = _order(data)
            second = _tiff_fields(data, order, _tiff_fields(data, order, _first(data, order)).following)
            return bool(second.values) and not second.values.get(0x00FE, 0) & 5
    return False


def is_plain_tiff(data: bytes | mmap) -> bool:
    """Whether a TIFF has one page of grey or colours, beside thumbnails, and says nothing of further images."""
    whole = cast("bytes", data)  # slices of a mapped file are bytes
    if not _is_tiff(whole):
        return True
    order = _order(whole)
    first = _tiff_fields(whole, order, _first(whole, order))
    is_planar = first.values.get(_PLANAR, 1) == 2
    return not (first.values.get(_SAMPLES, 1) not in (1, 3, 4) or is_planar or has_more_pages(whole))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end of the content of each segment of a JPEG before its first scan."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield marker, at + 4, end
        at = end


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of the content of each whole chunk."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, at + 8 + length
        at += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, at + 8 + length
        at += 8 + length + length % 2


def _gif_images(data: bytes) -> int:
    """Images of a GIF, counted up to two."""

    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    at, images = 13 + colours(data[10]), 0
    while at < len(data) and data[at] in (0x21, 0x2C) and images < 2:
        is_image = data[at] == 0x2C
        images += is_image
        at += 11 + colours(data[at + 9]) if is_image else 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return images


class _Fields(NamedTuple):
    """Of one directory of a TIFF: first values of the integer fields, where each stands, the following directory."""

    values: dict[int, int]
    places: dict[int, tuple[int, int]]
    following: int


def _is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _order(data: bytes) -> _Order:
    return "little" if data[:2] == b"II" else "big"


def _is_big(data: bytes) -> bool:
    return 43 in data[2:4]


def _first(data: bytes, order: _Order) -> int:
    return int.from_bytes(data[8:16] if _is_big(data) else data[4:8], order)


def _tiff_fields(data: bytes, order: _Order, start: int) -> _Fields:
    head, size, wide = (8, 20, 8) if _is_big(data) else (2, 12, 4)
    values: dict[int, int] = {}
    places: dict[int, tuple[int, int]] = {}
    if not 0 < start < len(data):
        return _Fields(values, places, 0)
    count = int.from_bytes(data[start : start + head], order)
    end = start + head + count * size
    for at in range(start + head, min(end, len(data) - size + 1), size):
        tag, kind = int.from_bytes(data[at : at + 2], order), int.from_bytes(data[at + 2 : at + 4], order)
        many = int.from_bytes(data[at + 4 : at + 4 + wide], order)
        length = _TYPE_BYTES.get(kind)
        if length is None or not many:
            continue
        place = at + 4 + wide
        if length * many > wide:
            place = int.from_bytes(data[place : place + wide], order)
        values.setdefault(tag, int.from_bytes(data[place : place + length], order))
        places.setdefault(tag, (place, length))
    return _Fields(values, places, int.from_bytes(data[end : end + wide], order))


def _exif_orientation(tiff: bytes) -> int:
    """Of the first directory of a TIFF block, 1 where there is none or the block is broken."""
    order = _order(tiff)
    found = _tiff_fields(tiff, order, _first(tiff, order)).values.get(ORIENTATION_TAG, 1)
    return found if 1 <= found <= 8 else 1


def _turned_back(data: bytes) -> bytes:
    order = _order(data)
    fields = _tiff_fields(data, order, _first(data, order))
    if fields.values.get(ORIENTATION_TAG, 1) == 1:
        return data
    place, length = fields.places[ORIENTATION_TAG]
    return data[:place] + (1).to_bytes(length, order) + data[place + length :]


def _deep_tiff(data: bytes) -> DeepHeader | None:
    order = _order(data)
    values = _tiff_fields(data, order, _first(data, order)).values
    bits, is_number = values.get(0x0102, 1), values.get(0x0153, 1) in (2, 3)
    if not (bits > 8 or is_number):
        return None
    size = -(-bits // 8) * values.get(0x0115, 1)
    return DeepHeader(values[0x0100], values[0x0101], size, values.get(0x0106) == 0) if 0x0101 in values else None


def _deep_pnm(data: bytes) -> DeepHeader | None:
    lines = [line.split(b"#")[0] for line in data[2:1000].split(b"\n")]
    width, height, most = (int(word) for word in b" ".join(lines).split()[:3])
    return DeepHeader(width, height, 2 if data[:2] in (b"P2", b"P5") else 6) if most > 255 else None


def _deep_jpeg2000(data: bytes) -> DeepHeader | None:
    at = data.find(b"\xff\x4f\xff\x51", 0, 1 << 16) + 4
    right, lower, left, upper = struct.unpack(">4I", data[at + 4 : at + 20])
    channels = int.from_bytes(data[at + 36 : at + 38])
    bits = (data[at + 38] & 0x7F) + 1
    # The decoder keeps 32 bits of each sample.
    return DeepHeader(right - left, lower - upper, 6 * channels) if at >= 4 and bits > 8 else None

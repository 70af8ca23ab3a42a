"""Metadata never costs an image nor turns it wrongly, whatever its format, colour space and depth."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.decode.image import decode_image, image_size
from selftaught.data.decode.image_header import bare, has_more_pages, orientation_of
from selftaught.data.files.file_tree import Unreadable

# Where (row, column) of the upright image stands in the stored one of H x W, by EXIF orientation.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[:, ::-1].transpose(1, 0, 2)[::1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[::-1].transpose(1, 0, 2),
}


def upright() -> NDArray[np.uint8]:
    """(48, 80, 3): dark, with a bright block upper left and a middling one upper right."""
    image = np.full((48, 80, 3), 20, np.uint8)
    image[:16, :16] = 230
    image[:16, -16:] = 130
    return image


def exif_of(orientation: int) -> bytes:
    """A TIFF block with nothing but the orientation."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def encoded(image: NDArray[Any], kind: str, mode: str = "RGB", **settings: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).convert(mode).save(out, kind, **settings)
    return out.getvalue()


def stored_as(orientation: int) -> NDArray[np.uint8]:
    """The pixels that a viewer turns to `upright` by the rule of EXIF: row 0 is the side it names."""
    return np.ascontiguousarray(STORED[orientation](upright()))


def tiff_of_sixteen_bits(image: NDArray[np.uint8], orientation: int) -> bytes:
    deep = image.astype(np.uint16) * 257
    out = io.BytesIO()
    Image.fromarray(deep[:, :, 0]).save(out, "TIFF", tiffinfo={0x0112: orientation})
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "make", ["JPEG L", "JPEG RGB", "JPEG CMYK", "PNG RGB", "PNG L", "WEBP RGB", "TIFF RGB", "TIFF I;16"]
)
def test_eight_orientations(make: str, orientation: int) -> None:
    kind, mode = make.split()
    stored = stored_as(orientation)
    if mode == "I;16":
        data = tiff_of_sixteen_bits(stored, orientation)
    elif kind == "TIFF":
        data = encoded(stored, kind, mode, tiffinfo={0x0112: orientation})
    else:
        quality = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
        prefix = b"Exif\0\0" if kind == "JPEG" else b""
        data = encoded(stored, kind, mode, exif=prefix + exif_of(orientation), **quality)
    assert orientation_of(data) == orientation
    assert image_size(data) == stored.shape[:2]
    found = decode_image(data)
    assert found.shape == (48, 80, 3)
    assert np.abs(found.astype(int) - upright()).mean() < 4
    as_stored = decode_image(data, upright=False)
    assert as_stored.shape == stored.shape
    assert np.abs(as_stored.astype(int) - stored).mean() < 4


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_that_is_none_leaves_the_pixels(kind: str, orientation: int) -> None:
    where: dict[str, Any] = (
        {"tiffinfo": {0x0112: orientation}} if kind == "TIFF" else {"exif": b"Exif\0\0" + exif_of(orientation)}
    )
    assert decode_image(encoded(upright(), kind, **where)).shape == (48, 80, 3)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "content",
    [
        (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        (0xE1, b"Exif\0\0garbage"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation='6'"),
        (0xE2, b"ICC_PROFILE\0\x09\x01broken"),
        (0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"),
        (0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\xff\xff\xff\xff\xff"),
        (0xFE, b"\xff\xfe comment"),
    ],
)
def test_a_broken_segment_costs_no_jpeg(mode: str, content: tuple[int, bytes]) -> None:
    whole = encoded(upright(), "JPEG", mode, quality=95)
    spoiled = whole[:2] + segment(*content) + whole[2:] + b"trailing garbage" * 50
    assert np.array_equal(decode_image(spoiled), decode_image(whole))


def chunk(kind: bytes, content: bytes, *, crc: int | None = None) -> bytes:
    found = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", found)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"bomb\0\0" + zlib.compress(b"\0" * (80 << 20), 9)),
        chunk(b"tEXt", b"text\0value", crc=1),
        chunk(b"iCCP", b"profile\0\0broken"),
        chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        chunk(b"gAMA", b"", crc=5),
        chunk(b"pHYs", b"\0"),
    ],
)
def test_a_broken_chunk_costs_no_png(extra: bytes) -> None:
    whole = encoded(upright(), "PNG")
    spoiled = whole[:33] + extra + whole[33:]
    assert np.array_equal(decode_image(spoiled), upright())
    late = whole[:-12] + extra + whole[-12:]
    assert np.array_equal(decode_image(late), upright())


def test_bare_keeps_what_pixels_need() -> None:
    palette = Image.fromarray(upright()).quantize(8)
    out = io.BytesIO()
    palette.save(out, "PNG", transparency=0)
    assert b"tRNS" in bare(out.getvalue())
    plain = encoded(upright(), "PNG")
    assert bare(plain) is plain


def test_pages_beyond_the_first_are_seen() -> None:
    first = Image.fromarray(upright())
    second = Image.fromarray(255 - upright())
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        out = io.BytesIO()
        first.save(out, kind, save_all=True, append_images=[second])
        assert has_more_pages(out.getvalue()), kind
        assert not has_more_pages(encoded(upright(), kind)), kind
    assert not has_more_pages(encoded(upright(), "JPEG"))
    out = io.BytesIO()
    # A second directory that is a thumbnail of the first is no page.
    thumbnail = first.resize((16, 10))
    thumbnail.encoderinfo = {"tiffinfo": {0x00FE: 1}}
    first.save(out, "TIFF", save_all=True, append_images=[thumbnail])
    with Image.open(out) as written:
        written.seek(1)
        is_marked = written.getexif().get(0x00FE) == 1  # Pillow 10 leaves the mark out
    assert has_more_pages(out.getvalue()) == (not is_marked)


def test_a_file_that_starts_a_program_is_no_image() -> None:
    with pytest.raises(Unreadable, match="not an image"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n")


def test_a_jpeg_of_many_scans_is_refused_at_once() -> None:
    data = encoded(upright(), "JPEG", progressive=True)
    assert decode_image(data).shape == (48, 80, 3)
    start = data.rindex(b"\xff\xda")
    many = data[:start] + data[start:-2] * 150 + data[-2:]
    with pytest.raises(Unreadable, match=r"progressive JPEG of 1\d\d scans"):
        decode_image(many)


def test_the_depth_of_every_format_is_seen() -> None:
    from selftaught.data.decode.image_header import deep_header

    deep = np.arange(48 * 80, dtype=np.uint16).reshape(48, 80) * 16
    colour = np.repeat(deep[:, :, None], 3, 2)
    for ending in (".png", ".tiff", ".pgm", ".jp2"):
        header = deep_header(cv2.imencode(ending, deep)[1].tobytes())
        assert header is not None, ending
        assert (header.width, header.height) == (80, 48)
    for ending in (".png", ".tiff", ".ppm", ".jp2"):
        assert deep_header(cv2.imencode(ending, colour)[1].tobytes()) is not None, ending
    for ending in (".png", ".tiff", ".pgm", ".jp2", ".jpg", ".webp"):
        assert deep_header(cv2.imencode(ending, upright()[:, :, 0])[1].tobytes()) is None, ending

"""Images of every make: read rightly, or refused with a reason; nothing else comes out."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.decode.image import decode_image, image_size
from selftaught.data.files.file_tree import Unreadable

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def jpeg(shared_data: Callable[[str], Path]) -> bytes:
    with zipfile.ZipFile(shared_data("imagenette128") / "imagenette128.zip") as archive:
        return archive.read("train/n01440764/ILSVRC2012_val_00000293.jpg")


@pytest.fixture
def photo(jpeg: bytes) -> Photo:
    return np.array(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def encoded(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **settings)
    return out.getvalue()


def close(a: Photo, b: Photo, *, most: float = 3.0) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) <= most


def test_a_jpeg_is_what_pillow_reads(jpeg: bytes, photo: Photo) -> None:
    pixels = decode_image(jpeg)
    assert pixels.dtype == np.uint8
    assert close(pixels, photo, most=1.0)
    assert image_size(jpeg) == photo.shape[:2]


@pytest.mark.parametrize("min_side", [16, 33, 64, 100, 128, 500])
def test_min_side_never_goes_below_and_never_enlarges(photo: Photo, min_side: int) -> None:
    large = encoded(Image.fromarray(photo).resize((640, 300)), "JPEG", quality=95)
    height, width, _ = decode_image(large, min_side=min_side).shape
    assert min(height, width) >= min(min_side, 300)
    assert height <= 300
    if min_side <= 100:
        assert height < 300  # it does scale


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_other_formats(photo: Photo, kind: str) -> None:
    data = encoded(Image.fromarray(photo), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert close(decode_image(data), photo, most=8.0 if kind == "GIF" else 0.0)
    assert image_size(data) == photo.shape[:2]


def test_grey_jpeg(photo: Photo) -> None:
    grey = Image.fromarray(photo).convert("L")
    pixels = decode_image(encoded(grey, "JPEG", quality=95))
    assert close(pixels, np.array(grey.convert("RGB")))


def test_cmyk_jpeg(photo: Photo) -> None:
    pixels = decode_image(encoded(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95))
    assert close(pixels, photo, most=4.0)


def test_sixteen_bit_png_keeps_its_tones(photo: Photo) -> None:
    for deep in (photo.astype(np.uint16) * 257, photo[:, :, 0].astype(np.uint16) * 257):
        data = cv2.imencode(".png", deep)[1].tobytes()
        expected = photo[:, :, ::-1] if deep.ndim == 3 else np.repeat(photo[:, :, :1], 3, axis=2)
        assert np.array_equal(decode_image(data), expected)


def test_float_tiff(photo: Photo) -> None:
    data = encoded(Image.fromarray(photo[:, :, 0].astype(np.float32) / 255), "TIFF")
    assert close(decode_image(data), np.repeat(photo[:, :, :1], 3, axis=2), most=1.0)


def test_transparency_is_over_white(photo: Photo) -> None:
    alpha = Image.fromarray(photo).convert("RGBA")
    alpha.paste((10, 20, 30, 0), (0, 0, 20, 20))
    palette = Image.fromarray(photo).quantize(64)
    palette.paste(3, (0, 0, 20, 20))
    grey = alpha.convert("LA")
    for data in (
        encoded(alpha, "PNG"),
        encoded(palette, "PNG", transparency=3),
        encoded(palette, "PNG", transparency=bytes([255, 255, 255, 0])),
        encoded(grey, "PNG"),
    ):
        assert (decode_image(data)[:20, :20] == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(photo: Photo, kind: str, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    settings: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    data = encoded(Image.fromarray(photo), kind, exif=exif, **settings)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert close(decode_image(data), np.array(upright), most=1.0)
    if orientation == 6:
        assert decode_image(data).shape[:2] == (photo.shape[1], photo.shape[0])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(photo: Photo, kind: str) -> None:
    first, second = Image.fromarray(photo), Image.fromarray(255 - photo)
    data = encoded(first, kind, save_all=True, append_images=[second], duration=100)
    assert close(decode_image(data), photo, most=8.0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_twenty_thousand_pixels_wide(photo: Photo, kind: str) -> None:
    wide = Image.fromarray(photo).resize((20_000, 60))
    assert decode_image(encoded(wide, kind)).shape == (60, 20_000, 3)
    height, width, _ = decode_image(encoded(wide, "JPEG"), min_side=30).shape
    assert (height, width) == (30, 10_000)


@pytest.mark.parametrize(
    ("kind", "part"), [("JPEG", 0.5), ("JPEG", 0.05), ("PNG", 0.5), ("WEBP", 0.5), ("GIF", 0.5), ("BMP", 0.5)]
)
def test_a_truncated_file_is_refused(photo: Photo, kind: str, part: float) -> None:
    data = encoded(Image.fromarray(photo), kind)
    with pytest.raises(Unreadable):
        decode_image(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\0" * 500, "not an image"),
        (b"<html>404</html>", "not an image"),
        (b"\xff\xd8", "not an image"),
        (b"\xff\xd8\xff\xe0", "not an image"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode_image(data)
    with pytest.raises(Unreadable):
        image_size(data or b" ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_one_pixel_is_refused(kind: str) -> None:
    with pytest.raises(Unreadable, match="only 1 x 1 pixels"):
        decode_image(encoded(Image.new("RGB", (1, 1)), kind))


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header(jpeg: bytes) -> None:
    with pytest.raises(Unreadable, match="more than 64 million"):
        decode_image(png_that_claims(30_000, 30_000))
    start = jpeg.index(b"\xff\xc0")
    claimed = jpeg[: start + 5] + struct.pack(">HH", 60_000, 60_000) + jpeg[start + 9 :]
    with pytest.raises(Unreadable, match="60000 x 60000 pixels, more than 64 million"):
        decode_image(claimed)


def test_between_pillows_limit_and_ours_nothing_warns_or_refuses() -> None:
    """Pillow warns from 89 and refuses from 179 million pixels by default."""
    limit = Image.MAX_IMAGE_PIXELS
    assert image_size(png_that_claims(19_000, 10_000)) == (10_000, 19_000)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_noise_in_a_jpeg_never_crashes(jpeg: bytes) -> None:
    """Any damage gives an image or `Unreadable`, and no warning, in several threads at once."""
    rng = np.random.default_rng(0)

    def damaged(_: int) -> str:
        spoiled = bytearray(jpeg)
        for at in rng.integers(2, len(spoiled), 5):
            spoiled[at] = rng.integers(256)
        try:
            return str(decode_image(bytes(spoiled)).shape)
        except Unreadable as refused:
            return str(refused)

    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(damaged, range(200)))
    assert len(outcomes) == 200
    assert all(outcomes)
    assert not leaked


def test_warnings_of_pillow_stay_inside(photo: Photo) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 20
    data = encoded(Image.fromarray(photo), "PNG", exif=exif[6:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_image(data).shape == photo.shape

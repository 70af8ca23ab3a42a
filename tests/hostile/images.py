"""Damaged and hostile image files, and names and kinds of files that are hard to read. All by a seed."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile.inputs import Hostile, good_images

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "TGA", "AVIF")
SUFFIX = {"JPEG": "jpg", "TIFF": "tif", "PPM": "ppm", "JPEG2000": "jp2"}


def photo(seed: int, side: int = 64, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC).convert(mode)


def encoded(format: str, seed: int, side: int = 64, **options: object) -> bytes:
    buffer = io.BytesIO()
    photo(seed, side).save(buffer, format, **options)
    return buffer.getvalue()


def damaged(data: bytes, how: str, rng: random.Random) -> bytes:
    """One of: cut, flips, zeros, header, doubled, garbage."""
    content = bytearray(data)
    if how == "cut":
        return bytes(content[: rng.randrange(4, max(5, len(content) - 1))])
    if how == "flips":
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    if how == "zeros":
        start = rng.randrange(len(content) // 2)
        content[start : start + len(content) // 4] = bytes(len(content) // 4)
    if how == "header":
        for _ in range(4):
            content[rng.randrange(min(64, len(content)))] = rng.randrange(256)
    if how == "garbage":
        content[len(content) // 2 :] = rng.randbytes(len(content) // 2)
    return bytes(content)


def damaged_images(seed: int) -> Iterator[Hostile]:
    """Every format, damaged in five ways; a folder of good photographs with one such file among them."""
    rng = random.Random(seed)
    for number, format in enumerate(FORMATS):
        if format == "AVIF" and ".avif" not in Image.registered_extensions():
            continue
        whole = encoded(format, seed + number)
        for how in ("cut", "flips", "zeros", "header", "garbage"):
            name = f"bad.{SUFFIX.get(format, format.lower())}"
            content = damaged(whole, how, rng)

            def make(root: Path, name: str = name, content: bytes = content) -> None:
                good_images(root)
                (root / name).write_bytes(content)

            yield Hostile(f"{format} {how}", make, files=1)


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, chunks: bytes = b"", rows: bytes = b"") -> bytes:
    """A PNG whose header says what it is told, whatever follows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again: seconds of work in a few kilobytes."""
    data = encoded("JPEG", 1, side=2048, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * count + data[-2:]


BOMBS: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "png of 60,000 pixels a side": ("bomb.png", png(60_000, 60_000)),
    "png of four billion pixels a side": ("bomb.png", png(2**31 - 1, 2**31 - 1)),
    "png of no pixels": ("bomb.png", png(0, 10)),
    "png that unpacks to 300 MB": ("bomb.png", lambda: png(10_000, 10_000, rows=bytes(300_010_000))),
    "png with a text of 100 MB": (
        "bomb.png",
        lambda: png(64, 64, chunks=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000))), rows=bytes(64 * 193)),
    ),
    "gif of 65,535 pixels a side": ("bomb.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(64)),
    "bmp of two billion pixels a side": (
        "bomb.bmp",
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 2**31 - 1, 2**31 - 1, 1, 24, *[0] * 6),
    ),
    "ppm of a million pixels a side": ("bomb.ppm", b"P6\n1000000 1000000\n255\n" + bytes(64)),
    "ppm with words for numbers": ("bomb.ppm", b"P6\nwide high\n255\n" + bytes(64)),
    "one pixel": ("one.png", encoded("PNG", 0, side=1)),
    "no bytes": ("empty.jpg", b""),
    "text called jpg": ("text.jpg", b"not an image\n" * 100),
    "html called png": ("page.png", b"<!doctype html><html><body>404</body></html>"),
    "jpeg with exif that is cut": (
        "exif.jpg",
        encoded("JPEG", 5)[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\xff" + encoded("JPEG", 5)[2:],
    ),
    "zip called jpg": ("zip.jpg", b"PK\x03\x04" + bytes(60)),
    "tiff whose directory is itself": ("loop.tif", b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8)),
    "tiff of huge strips": (
        "strips.tif",
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 4)
        + b"".join(struct.pack("<HHII", tag, 4, 1, 2**31) for tag in (256, 257, 273, 279))
        + bytes(4),
    ),
    "jpeg of 400 scans": ("scans.jpg", lambda: many_scans(400)),
}


def bombs() -> Iterator[Hostile]:
    """Files that claim or unpack to more than they should, among good photographs."""
    for title, (name, content) in BOMBS.items():

        def make(root: Path, name: str = name, content: bytes | Callable[[], bytes] = content) -> None:
            good_images(root)
            (root / name).write_bytes(content() if callable(content) else content)

        yield Hostile(title, make, files=1)


def odd_files() -> Iterator[Hostile]:
    """What is no plain file, or has a name that is hard to write."""

    def bytes_name(root: Path) -> None:
        (root / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"broken")

    def deep(root: Path) -> None:
        folder = root
        for _ in range(12):
            folder = folder / ("d" * 200)
            folder.mkdir()
        (folder / "deep.jpg").write_bytes(b"broken")

    def changed_mode(root: Path) -> None:
        (root / "closed").mkdir()
        (root / "closed" / "x.jpg").write_bytes(b"broken")
        (root / "closed").chmod(0)

    changes = {
        "fifo": lambda root: os.mkfifo(root / "fifo.jpg"),
        "link to /dev/zero": lambda root: (root / "zero.jpg").symlink_to("/dev/zero"),
        "link to /dev/tty": lambda root: (root / "tty.png").symlink_to("/dev/tty"),
        "link to itself": lambda root: (root / "self.jpg").symlink_to(root / "self.jpg"),
        "link to nothing": lambda root: (root / "gone.jpg").symlink_to(root / "nowhere.jpg"),
        "loop of folders": lambda root: (root / "loop").symlink_to(root, target_is_directory=True),
        "folder called jpg": lambda root: (root / "folder.jpg").mkdir(),
        "name that is not UTF-8": bytes_name,
        "name with a new line": lambda root: (root / "two\nlines.jpg").write_bytes(b"broken"),
        "name with a formula": lambda root: (root / "=1+1,x.jpg").write_bytes(b"broken"),
        "name with markup": lambda root: (root / "<img src=x onerror=alert(1)>.jpg").write_bytes(b"broken"),
        "name of 255 bytes": lambda root: (root / ("n" * 251 + ".jpg")).write_bytes(b"broken"),
        "folders too deep for a path": deep,
        "folder that is closed": changed_mode,
        "kinds that are not read": lambda root: (root / "x.czi").write_bytes(b"broken"),
    }
    unlisted = ("loop of folders", "folder called jpg", "folder that is closed", "kinds that are not read")
    for title, change in changes.items():

        def make(root: Path, change: Callable[[Path], object] = change) -> None:
            good_images(root)
            change(root)

        yield Hostile(title, make, files=None if title in unlisted else 1)


def only_bad(seed: int) -> Iterator[Hostile]:
    """Folders that hold nothing good."""
    rng = random.Random(seed)

    def empty(root: Path) -> None: ...

    def broken(root: Path) -> None:
        for i in range(5):
            (root / f"{i}.jpg").write_bytes(damaged(encoded("JPEG", i), "cut", rng)[:200])

    def text(root: Path) -> None:
        (root / "notes.txt").write_text("nothing here")

    for title, make in {"empty folder": empty, "broken images only": broken, "texts only": text}.items():
        yield Hostile(title, make)

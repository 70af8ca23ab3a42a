"""Damaged and hostile zips, tars, Parquet files, label files, annotations, videos and run folders. All by a seed."""

from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.images import damaged, encoded, photo
from tests.hostile.inputs import OUTSIDE, Hostile, good_images

HOWS = ("cut", "flips", "zeros", "garbage", "header")


def _file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).write_bytes(content() if callable(content) else content)

    return make


def _damaged(kind: str, whole: bytes, seed: int) -> Iterator[Hostile]:
    """A whole file of a kind, damaged in each way three times."""
    rng = random.Random(seed)
    for number, how in enumerate(HOWS * 3):
        name = f"data.{kind}"
        yield Hostile(f"{kind} {number} {how}", _file(name, damaged(whole, how, rng)), data=name)


def good_zip(count: int = 8, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for i in range(count):
            archive.writestr(f"{'ab'[i % 2]}/{i}.jpg", encoded("JPEG", i))
    return buffer.getvalue()


def zips(seed: int) -> Iterator[Hostile]:
    """Whole ones damaged, then those written to harm."""
    whole = good_zip()
    yield from _damaged("zip", whole, seed)
    for title, content in _hostile_zips(whole).items():
        yield Hostile(f"zip: {title}", _file("data.zip", content), data="data.zip")


def _hostile_zips(whole: bytes) -> dict[str, bytes | Callable[[], bytes]]:
    def added(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
        buffer = io.BytesIO(whole)
        with zipfile.ZipFile(buffer, "a", compression) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same name twice is what is wanted
            for name, content in members:
                archive.writestr(name, content)
        return buffer.getvalue()

    entry = whole.rindex(b"PK\x01\x02")
    wrong_size = bytearray(whole)
    wrong_size[entry + 20 : entry + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    wrong_offset = bytearray(whole)
    wrong_offset[entry + 42 : entry + 46] = struct.pack("<I", 0xFFFFFF00)
    encrypted = bytearray(whole)
    encrypted[entry + 8] |= 1
    method = bytearray(whole)
    method[entry + 10 : entry + 12] = struct.pack("<H", 99)
    end = whole.rindex(b"PK\x05\x06")
    count = bytearray(whole)
    count[end + 8 : end + 12] = struct.pack("<HH", 65535, 65535)
    return {
        "names that leave the folder": added(("../../evil.jpg", encoded("JPEG", 9)), (str(OUTSIDE), b"x")),
        "a name with a drive": added(("C:\\evil.jpg", encoded("JPEG", 9))),
        "300 MB of zeros": lambda: added(("bomb.jpg", bytes(300_000_000)), compression=zipfile.ZIP_DEFLATED),
        "300 MB of zeros called bmp": lambda: added(("bomb.bmp", bytes(300_000_000)), compression=zipfile.ZIP_DEFLATED),
        "a label file of 300 MB": lambda: added(("labels.csv", bytes(300_000_000)), compression=zipfile.ZIP_DEFLATED),
        "a zip inside": added(("inner.zip", whole)),
        "the same name twice": added(("a/0.jpg", encoded("JPEG", 50))),
        "sizes of four gigabytes": bytes(wrong_size),
        "an offset behind the end": bytes(wrong_offset),
        "an encrypted member": bytes(encrypted),
        "an unknown compression": bytes(method),
        "a false number of members": bytes(count),
        "no member": good_zip(0),
        "text": b"this is no archive\n" * 20,
        "no bytes": b"",
    }


def good_tar(count: int = 8) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(count):
            add_member(archive, f"{i:03d}.jpg", encoded("JPEG", i))
            add_member(archive, f"{i:03d}.cls", str(i % 2).encode())
    return buffer.getvalue()


def add_member(archive: tarfile.TarFile, name: str, content: bytes, **told: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in told.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


def tars(seed: int) -> Iterator[Hostile]:
    """Whole ones damaged, then those written to harm."""
    whole = good_tar()
    yield from _damaged("tar", whole, seed)
    for title, content in _hostile_tars(whole).items():
        yield Hostile(f"tar: {title}", _file("data.tar", content), data="data.tar")


def _hostile_tars(whole: bytes) -> dict[str, bytes | Callable[[], bytes]]:
    def added(name: str, content: bytes, **told: Any) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for i in range(8):
                add_member(archive, f"{i:03d}.jpg", encoded("JPEG", i))
            add_member(archive, name, content, **told)
        return buffer.getvalue()

    def claims(size: int) -> bytes:
        # The size in base 256, as GNU tar writes what is too large for digits.
        info = tarfile.TarInfo("huge.jpg")
        info.size = size
        return whole[: whole.rindex(b"007.cls")] + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)

    return {
        "a member of 2^62 bytes": claims(2**62),
        "a member of a terabyte": claims(2**40),
        "names that leave the folder": added("../../evil.jpg", encoded("JPEG", 9)),
        "an absolute name": added(str(OUTSIDE), encoded("JPEG", 9)),
        "a link to a file": added("link.jpg", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "a hard link": added("hard.jpg", b"", type=tarfile.LNKTYPE, linkname="000.jpg"),
        "a device": added("zero.jpg", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        "JSON 10,000 deep": added("000.json", b"[" * 10_000 + b"]" * 10_000),
        "JSON objects 10,000 deep": added("000.json", b'{"label":' * 10_000 + b"1" + b"}" * 10_000),
        "a class of 50 MB": lambda: added("000.cls", b"x" * 50_000_000),
        "the same name twice": added("000.jpg", encoded("JPEG", 60)),
        "a text called jpg": added("text.jpg", b"not an image"),
        "no member": bytes(10240),
        "text": b"this is no archive\n" * 60,
        "no bytes": b"",
        "gzip called tar": b"\x1f\x8b\x08\0" + bytes(100),
    }


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def parquets(seed: int) -> Iterator[Hostile]:
    """Whole ones damaged, then tables that are not as they should be."""
    images = [{"bytes": encoded("JPEG", i), "path": f"{i}.jpg"} for i in range(8)]
    labels = [i % 2 for i in range(8)]
    whole = parquet(pa.table({"image": images, "label": labels}))
    yield from _damaged("parquet", whole, seed)
    raw = [image["bytes"] for image in images]
    tables: dict[str, dict[str, Any]] = {
        "no column of images": {"text": ["a"] * 8, "label": labels},
        "images are addresses": {"image": ["http://example.org/x.jpg"] * 8},
        "images are numbers": {"image": list(range(8))},
        "images are null": {"image": pa.array([None] * 8, pa.binary()), "label": labels},
        "images are lists of bytes": {"image": [[1, 2, 3]] * 8},
        "images are broken": {"image": [b"broken"] * 8, "label": labels},
        "labels are NaN": {"image": raw, "label": [float("nan")] * 4 + [0.0, 1.0, 0.0, 1.0]},
        "labels are structs": {"image": raw, "label": [{"a": i} for i in range(8)]},
        "labels are bytes": {"image": raw, "label": [b"\xff\xfe"] * 8},
        "labels are times": {"image": raw, "label": pa.array(range(8), pa.timestamp("us"))},
        "labels are lists": {"image": raw, "label": [[0, 1]] * 8},
        "labels are huge": {"image": raw, "label": ["x" * 5_000_000] * 8},
        "labels are formulas and markup": {"image": raw, "label": ["=1+1", "<script>alert(1)</script>"] * 4},
        "no row": {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())},
    }
    for title, columns in tables.items():
        content = parquet(pa.table(columns))
        yield Hostile(f"parquet: {title}", _file("data.parquet", content), data="data.parquet")

    def zeros() -> bytes:
        return parquet(pa.table({"image": pa.array([bytes(20_000_000)] * 20, pa.large_binary())}))

    yield Hostile("parquet: 400 MB of zeros", _file("data.parquet", zeros), data="data.parquet")
    yield Hostile("parquet: text", _file("data.parquet", b"PAR1 this is not one PAR1"), data="data.parquet")
    yield Hostile("parquet: no bytes", _file("data.parquet", b""), data="data.parquet")


TABLES = {
    "no bytes": b"",
    "zero bytes": bytes(1000),
    "random bytes": random.Random(0).randbytes(5000),
    "UTF-16": "file,label\na/good0.png,x\n".encode("utf-16"),
    "no such column": b"name,class\na/good0.png,x\n",
    "rows that name no file": b"file,label\nnowhere.png,x\n",
    "one line of 10 MB": b"file,label\n" + b"x" * 10_000_000,
    "an open quote": b'file,label\n"a/good0.png,x\nb/good1.png,y\n',
    "two labels of one file": b"file,label\na/good0.png,x\na/good0.png,y\n",
    "too many cells": b"file,label\na/good0.png,x,y,z,1\nb/good1.png\n",
    "classes that are formulas": b"file,label\na/good0.png,=1+1\nb/good1.png,@x\na/good2.png,=1+1\nb/good3.png,@x\n",
    "a file outside": b"file,label\n../../../etc/passwd,x\na/good0.png,y\nb/good1.png,x\n",
}


def label_files() -> Iterator[Hostile]:
    """Tables of labels beside good images."""
    for title, content in TABLES.items():

        def make(root: Path, content: bytes = content) -> None:
            good_images(root)
            (root / "labels.csv").write_bytes(content)

        yield Hostile(f"labels.csv: {title}", make)


ANNOTATIONS: dict[str, Any] = {
    "10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "no images": {"images": [], "annotations": [], "categories": []},
    "null everywhere": {"images": [None], "annotations": [None], "categories": [None]},
    "texts for lists": {"images": "x", "annotations": "y", "categories": "z"},
    "sizes of NaN": b'{"images":[{"id":1,"file_name":"a/good0.png","width":NaN,"height":Infinity}],'
    b'"annotations":[{"image_id":1,"category_id":1,"bbox":[0,0,NaN,1e400]}],"categories":[{"id":1,"name":"x"}]}',
    "a path that leaves": {
        "images": [{"id": 1, "file_name": "../../../etc/passwd", "width": 9, "height": 9}],
        "annotations": [],
        "categories": [{"id": 1, "name": "x"}],
    },
    "not UTF-8": b"\xff\xfe{\0",
    "no bytes": b"",
}


def annotation_files() -> Iterator[Hostile]:
    """COCO's JSON beside good images."""
    for title, value in ANNOTATIONS.items():
        content = value if isinstance(value, bytes) else json.dumps(value).encode()

        def make(root: Path, content: bytes = content) -> None:
            good_images(root)
            (root / "annotations").mkdir()
            (root / "annotations" / "instances_train.json").write_bytes(content)

        yield Hostile(f"COCO: {title}", make)


def video(seed: int, suffix: str, frames: int = 30) -> bytes:
    buffer = io.BytesIO()
    format, codec = {"mp4": ("mp4", "libx264"), "avi": ("avi", "mpeg4"), "webm": ("webm", "libvpx")}[suffix]
    with av.open(buffer, "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        background = np.asarray(photo(seed, 128))
        for i in range(frames):
            picture = np.ascontiguousarray(background[i : i + 64, i : i + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def videos(seed: int) -> Iterator[Hostile]:
    """Five good clips and one damaged or false one."""
    rng = random.Random(seed)
    good = [video(i, "mp4") for i in range(5)]
    bad = [(f"{s} {how}", f"bad.{s}", damaged(video(9, s), how, rng)) for s in ("mp4", "avi", "webm") for how in HOWS]
    bad += [
        ("text called mp4", "bad.mp4", b"not a video\n" * 50),
        ("no bytes", "bad.mp4", b""),
        ("one frame", "bad.mp4", video(3, "mp4", frames=1)),
        ("an image called avi", "bad.avi", encoded("JPEG", 3)),
        ("playlist of files elsewhere", "bad.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("playlist of addresses", "bad.ts", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n"),
    ]
    for title, name, content in bad:

        def make(root: Path, name: str = name, content: bytes = content) -> None:
            for i, clip in enumerate(good):
                (root / f"good{i}.mp4").write_bytes(clip)
            (root / name).write_bytes(content)

        yield Hostile(f"video: {title}", make, task="frame_order_verification")

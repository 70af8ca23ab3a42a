"""Damaged images and videos of every kind: pixels or `Unreadable`, never anything else, in bounded time."""

from __future__ import annotations

import io
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from selftaught.data.decode.image import decode_image, decode_indices, decode_values, image_size
from selftaught.data.decode.image_header import has_more_pages
from selftaught.data.decode.video import decode_sound, read_header
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.file_tree import Unreadable

SECONDS = 10.0
"""That one file may take, however busy the machine is."""


def photo() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC), np.uint8)


def whole_images() -> dict[str, bytes]:
    """One file of each kind that is read."""
    image = Image.fromarray(photo())
    other = Image.fromarray(255 - photo())
    made: dict[str, bytes] = {}

    def add(name: str, kind: str, shown: Image.Image = image, **settings: Any) -> None:
        out = io.BytesIO()
        shown.save(out, kind, **settings)
        made[name] = out.getvalue()

    for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "TGA"):
        add(kind, kind)
    add("progressive", "JPEG", progressive=True)
    add("cmyk", "JPEG", image.convert("CMYK"))
    add("grey alpha", "PNG", image.convert("LA"))
    add("animation", "GIF", save_all=True, append_images=[other])
    add("palette", "PNG", image.quantize(16), transparency=0)
    add("lzw", "TIFF", compression="tiff_lzw")
    add("jpeg in tiff", "TIFF", compression="jpeg")
    add("pages", "TIFF", save_all=True, append_images=[other])
    for feature, kind in (("webp", "WEBP"), ("avif", "AVIF"), ("jpg_2000", "JPEG2000")):
        if feature in features.get_supported():  # old Pillow warns of names it does not know
            add(kind, kind)
    deep = photo().astype(np.uint16) * 257
    for ending in (".png", ".tiff", ".ppm", ".jp2"):
        made[f"deep{ending}"] = cv2.imencode(ending, deep)[1].tobytes()
    made["float.tiff"] = cv2.imencode(".tiff", deep.astype(np.float32))[1].tobytes()
    return made


def damaged(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Cut short, bytes changed anywhere or in the header, numbers of the header set to extremes, parts moved."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        spoiled = bytearray(data)
        kind = number % 5
        if kind == 0:
            spoiled = spoiled[: int(rng.integers(0, len(data)))]
        elif kind == 1:
            for at in rng.integers(0, len(data), 8):
                spoiled[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            for at in rng.integers(0, min(len(data), 120), 3):
                spoiled[at] = int(rng.integers(256))
        elif kind == 3:
            at = int(rng.integers(2, min(len(data) - 4, 120)))
            spoiled[at : at + 4] = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\1\0\0")[number // 5 % 4]
        else:
            start, end = sorted(int(at) for at in rng.integers(0, len(data), 2))
            del spoiled[start : min(end, start + 64)]
        yield bytes(spoiled)


def tried(data: bytes) -> str:
    """What came of decoding the image; the other ways of reading it may do either, and nothing else."""
    for read in (decode_indices, image_size, decode_values):
        with suppress(Unreadable):
            read(data)
    has_more_pages(data)
    try:
        found = decode_image(data)
    except Unreadable:
        return "refused"
    assert found.dtype == np.uint8
    assert found.shape[2] == 3
    return "read"


@pytest.mark.parametrize("count", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_damaged_images(count: int) -> None:
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and Pillow on what is found in the file
        for seed, (name, whole) in enumerate(whole_images().items()):
            assert tried(whole) == "read", name
            for spoiled in damaged(whole, count, seed):
                begin = time.process_time()
                outcomes.append(tried(spoiled))
                assert time.process_time() - begin < SECONDS, name
    assert outcomes.count("refused") > len(outcomes) / 4
    assert outcomes.count("read") > len(outcomes) / 20


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", [".mp4", ".avi", ".webm", ".mpg"])
def test_damaged_videos(tmp_path: Path, write_video: Any, ending: str, count: int) -> None:
    frames = np.repeat(photo()[None], 8, 0)
    whole = write_video(
        tmp_path / f"whole{ending}", frames, sound=np.zeros(16000, np.float32), rate=48_000
    ).read_bytes()
    for number, spoiled in enumerate(damaged(whole, count, len(ending))):
        path = tmp_path / f"{number}{ending}"
        path.write_bytes(spoiled)
        begin = time.process_time()
        for read in (lambda p: [read_header(p)], lambda p: list(decode_frames(p, 16)), lambda p: list(decode_sound(p))):
            with suppress(Unreadable):
                read(os.fspath(path))
        assert time.process_time() - begin < SECONDS


def test_no_image_waits_for_the_room_it_has_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image is taken for one that fills all memory: the decoder that comes second still gets room."""
    monkeypatch.setattr("selftaught.data.decode.memory._SMALL", 0)
    monkeypatch.setattr("selftaught.data.decode.memory._TOTAL", 1)
    outcomes: list[str] = []

    def work() -> None:
        for seed, whole in enumerate(whole_images().values()):
            outcomes.extend(tried(spoiled) for spoiled in [whole, *damaged(whole, 5, seed)])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not any(thread.is_alive() for thread in threads)
    assert "read" in outcomes

"""The fingerprint of data depends on their content, not on their folder or the time they were written."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.files.content import File, fingerprint_of, stat_file
from selftaught.data.sources.open import open_source


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(6):
        path = tmp_path / "photos" / f"c{i % 2}" / f"p{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).save(path)
    return tmp_path / "photos"


def fingerprint(data: Path | str) -> str:
    return open_source(str(data), split="train", needs=frozenset({"image"})).fingerprint


def touch(path: Path) -> None:
    later = time.time_ns() + 10**9
    os.utime(path, ns=(later, later))


def test_a_copy_and_a_touch_change_nothing(data: Path, tmp_path: Path) -> None:
    first = fingerprint(data)
    for file in data.rglob("*.png"):
        touch(file)
    assert fingerprint(f"{data}/") == first
    shutil.copytree(data, tmp_path / "moved")
    assert fingerprint(tmp_path / "moved") == first


def test_another_pixel_name_or_file_changes_it(data: Path) -> None:
    seen = {fingerprint(data)}
    train = open_source(str(data), split="train", needs=frozenset({"image"})).entries[0].key
    picture = bytearray((data / train).read_bytes())
    picture[-20] ^= 1  # of the same size
    (data / train).write_bytes(picture)
    touch(data / train)
    seen.add(fingerprint(data))
    (data / train).rename((data / train).with_name("p1b.png"))
    seen.add(fingerprint(data))
    shutil.copy(data / "c0" / "p2.png", data / "c0" / "p1c.png")
    seen.add(fingerprint(data))
    assert len(seen) == 4


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_large_files_are_sampled_at_both_ends(tmp_path: Path, size: int) -> None:
    path = tmp_path / "clip.mp4"
    content = bytearray(size)
    found: set[str] = set()
    for at in (None, 0, size // 2, size - 1):
        if at is not None and size:
            content[at] ^= 255
        path.write_bytes(content)
        found.add(fingerprint_of([stat_file(str(path), "clip.mp4")._replace(modified=len(found))]))
    assert len(found) == (4 if size > 1 else size + 1)


def test_one_changed_place_of_an_uncompressed_image_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    for at in (100_000, 300_000, 599_999):
        content = bytearray(600_000)
        path.write_bytes(content)
        before = fingerprint_of([stat_file(str(path), "a.bmp")])
        content[at] = 1
        path.write_bytes(content)
        touch(path)
        assert fingerprint_of([stat_file(str(path), "a.bmp")]) != before


def test_many_files_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from selftaught.data.files import content

    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    files = [File(str(path), f"{i}.jpg", 1, 5) for i in range(content._MANY)]
    first = fingerprint_of(files)
    content._known.clear()
    monkeypatch.setattr(content, "_content", None)
    assert fingerprint_of(files) == first
    (kept,) = (tmp_path / "cache" / "contents").iterdir()
    assert kept.read_text() == first

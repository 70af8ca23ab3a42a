"""The packed store: right pixels, whole or absent, reused, shared, and the same as decoding on the fly."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from selftaught.data.decode.image import decode_image
from selftaught.data.sources.base import Entry, Source
from selftaught.data.store.cache import list_stores
from selftaught.data.store.image_samples import LiveImages, PackedImages
from tests.data.store.images import opened, pictures, source_of

pytestmark = pytest.mark.usefixtures("cache")

MIDDLE = np.full((64, 3), 0.5)


@pytest.fixture
def spoiled(folder: Path) -> Path:
    """The same with files that break in every way."""
    whole = (folder / "00.jpg").read_bytes()
    Image.new("RGB", (1, 1)).save(folder / "one_pixel.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html>not found</html>")
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    Image.open(io.BytesIO(whole)).resize((20_000, 40)).save(folder / "wide.jpg")
    Image.open(io.BytesIO(whole)).convert("CMYK").save(folder / "cmyk.jpg")
    return folder


SHIFTS = [(2, 0), (-2, 0), (2, 1), (-2, 1)]


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_images_keep_their_aspect_and_are_cut_to_a_square(folder: Path) -> None:
    samples = opened(source_of(folder), side=64)
    for row, image in enumerate(pictures(samples)):
        full = decode_image((folder / samples.keys[row]).read_bytes())
        height, width = full.shape[:2]
        scale = 64 / min(height, width)
        small = cv2.resize(full, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        top, left = (small.shape[0] - 63) // 2, (small.shape[1] - 63) // 2
        expected = small[top : top + 64, left : left + 64]
        # Scaling inside the JPEG decoder is sharper than averaging areas, but the content stands at the same place.
        assert agreement(image, expected) > 0.93
        assert agreement(image, expected) > max(agreement(image, np.roll(expected, s, axis)) for s, axis in SHIFTS)


def test_draws_move_the_window_along_the_long_side(folder: Path) -> None:
    samples = opened(source_of(folder), side=64)
    count = len(samples)
    start, end = np.zeros((count, 3)), np.full((count, 3), np.nextafter(1, 0))
    first, last = pictures(samples, start), pictures(samples, end)
    middle = pictures(samples)
    differ = [not np.array_equal(a, b) for a, b in zip(first, last, strict=True)]
    assert any(differ)
    assert all(np.array_equal(m, a) for m, a, moved in zip(middle, first, differ, strict=True) if not moved)


def test_decoding_on_the_fly_gives_the_same_bytes(spoiled: Path) -> None:
    source = source_of(spoiled)
    packed = opened(source)
    live = opened(source, limit=1e-9)
    assert isinstance(packed, PackedImages)
    assert isinstance(live, LiveImages)
    assert list(packed.keys) == list(live.keys)
    assert packed.skipped == live.skipped
    assert packed.side == live.side
    rng = np.random.default_rng(0)
    for _ in range(3):
        rows, draws = rng.integers(0, len(packed), 64), rng.random((64, 3))
        a, b = packed.read(rows, draws), live.read(rows, draws)
        assert np.array_equal(a["image"], b["image"])
        assert np.array_equal(a.index, b.index)


def test_broken_files_are_skipped_with_their_reason_and_stay_listed(spoiled: Path) -> None:
    for _ in range(2):  # built, then opened
        samples = opened(source_of(spoiled))
        assert len(samples) == 42
        reasons = dict(samples.skipped)
        assert set(reasons) == {"empty.jpg", "one_pixel.png", "page.jpg", "truncated.jpg"}
        assert reasons["empty.jpg"] == "empty file"
        assert reasons["one_pixel.png"] == "only 1 x 1 pixels"
        assert {"wide.jpg", "cmyk.jpg"} <= set(samples.keys)
        source = source_of(spoiled)
        assert [source.entries[i].key for i in samples.source_of] == list(samples.keys)


def test_nothing_readable_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    for i in range(3):
        (tmp_path / "bad" / f"{i}.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"none of the 3 images of .*bad can be read; the first, 0.jpg: not an image"):
        opened(source_of(tmp_path / "bad"))
    assert list_stores() == []


def test_a_file_that_goes_while_training_is_replaced_and_listed(folder: Path) -> None:
    live = opened(source_of(folder), limit=1e-9)
    (folder / live.keys[3]).unlink()
    (folder / live.keys[4]).write_bytes(b"")
    batch = live.read(np.array([2, 3, 4]), MIDDLE[:3])
    assert batch.index.tolist() == [2, 5, 5]
    assert sorted(live.skipped) == [(live.keys[3], "No such file or directory"), (live.keys[4], "empty file")]


def test_a_store_is_built_once_and_reused(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    first = pictures(opened(source_of(folder), progress=lambda done, total: calls.append((done, total))))
    assert calls[-1] == (40, 40)
    calls.clear()
    again = opened(source_of(folder), progress=lambda done, total: calls.append((done, total)))
    assert not calls
    assert np.array_equal(first, pictures(again))
    opened(source_of(folder), side=32)
    (folder / "00.jpg").write_bytes((folder / "01.jpg").read_bytes())
    opened(source_of(folder), progress=lambda done, total: calls.append((done, total)))
    assert calls  # the content changed
    assert [info.samples for info in list_stores()] == [40, 40, 40]


class _Array(Source):
    """Pixels as torchvision and programs give them."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.classes, self.provides = pixels, None, frozenset({"image"})
        self.entries = [Entry(str(i), None if i == 1 else i % 3) for i in range(len(pixels))]
        self.fingerprint = "array"

    def read(self, i: int) -> np.ndarray:
        return np.asarray(self.pixels[i])


def test_square_images_are_gathered_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 32, 32, 3), dtype=np.uint8)
    samples = opened(_Array(pixels), side=64)
    assert samples.side == 32
    assert np.array_equal(pictures(samples), pixels)
    rows = np.array([99, 0, 5, 5])
    batch = samples.read(rows, MIDDLE[:4])
    assert np.array_equal(batch["image"], pixels[rows])
    assert samples.labels is not None
    assert samples.labels[:4].tolist() == [0, -1, 2, 0]


def test_a_store_of_100_000_images_opens_in_a_second(cache: Path) -> None:
    class Many(_Array):
        def __init__(self) -> None:
            super().__init__(np.broadcast_to(np.zeros((8, 8, 3), np.uint8), (100_000, 8, 8, 3)))

    source = Many()
    opened(source, side=8)
    start = time.process_time()
    samples = opened(source, side=8)
    assert time.process_time() - start < 1
    assert len(samples) == len(samples.keys) == 100_000


_MEMORY = """
import sys
import numpy as np
from selftaught.data.batch import Sampling
from selftaught.data.sources.base import Entry, Source
from selftaught.data.store.open import open_samples
class Blank(Source):
    def __init__(self, count):
        self.entries = [Entry(str(i)) for i in range(count)]
        self.classes, self.provides, self.fingerprint = None, frozenset({"image"}), f"blank{count}"
    def read(self, i):
        return np.full((64, 64, 3), i % 255, np.uint8)
def resident():
    found = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
    return sum(int(found[name].split()[0]) for name in ("RssAnon", "RssFile")) / 1024
samples = open_samples(Blank(int(sys.argv[1])), side=64, sampling=Sampling(), cache_limit_gb=9, workers=2)
rng, peak = np.random.default_rng(0), 0.0
for step in range(int(sys.argv[1]) // 64):
    samples.read(rng.integers(0, len(samples), 128), np.full((128, 3), 0.5))
    peak = max(peak, resident())
print(peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_memory_is_flat_in_the_size_of_the_data() -> None:
    """Four times the images (61 and 246 MB on disk): the resident memory stays."""
    peaks = []
    for count in (5_000, 20_000):
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, str(count)], capture_output=True, text=True, check=True, timeout=120
        )
        peaks.append(float(done.stdout))
    assert peaks[1] < peaks[0] + 40, peaks

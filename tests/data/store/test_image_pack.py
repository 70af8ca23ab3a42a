"""Packing images: the side, the index, and the same pixels however many wait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.sources.base import Entry, Source
from selftaught.data.store import image_pack
from selftaught.data.store.image_pack import PackedIndex, look_ahead, reason
from selftaught.data.store.open import open_samples
from tests.data.sources import opening
from tests.data.sources.rows import write
from tests.data.store.images import opened, source_of

pytestmark = pytest.mark.usefixtures("cache")


def test_side_is_an_upper_bound(folder: Path) -> None:
    assert 220 < opened(source_of(folder), side=500).side < 320
    assert opened(source_of(folder), side=48).side == 48


def test_large_images_wait_in_small_numbers_and_give_the_same_store(
    tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opening.opened(write(tmp_path / "a.parquet", {"image": photos}))
    stores = []
    for name, job, held in (("whole", image_pack._JOB_BYTES, image_pack._HELD_BYTES), ("small", 1, 1)):
        monkeypatch.setattr(image_pack, "_JOB_BYTES", job)
        monkeypatch.setattr(image_pack, "_HELD_BYTES", held)
        monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / name))
        samples = open_samples(source, side=40, sampling=Sampling(), cache_limit_gb=1.0, workers=2)
        stores.append([file.read_bytes() for file in sorted((tmp_path / name).rglob("pixels.bin"))])
        assert len(samples) == len(source)
    assert len(stores[0]) == 1
    assert stores[0] == stores[1]


class Blank(Source):
    """Black images of given sizes."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self.sizes, self.classes, self.provides = sizes, None, frozenset({"image"})
        self.entries = [Entry(str(i)) for i in range(len(sizes))]
        self.fingerprint = "blank"

    def read(self, i: int) -> np.ndarray:
        return np.zeros((*self.sizes[i], 3), np.uint8)


def test_the_side_and_the_size_of_a_store_are_estimated() -> None:
    assert look_ahead(Blank([(40, 60)] * 10), side=32) == (32, 10 * 3 * 32 * 32 * 3 // 2)
    assert look_ahead(Blank([(20, 100)] * 10), side=32) == (20, 10 * 3 * 20 * 20 * 3)  # cut at three times the side
    assert look_ahead(Blank([(16, 16)] * 99 + [(200, 200)]), side=64)[0] == 16
    assert look_ahead(Blank([(1, 1)]), side=64) == (64, 3 * 64 * 64)


def test_an_index_knows_where_each_image_stands(tmp_path: Path) -> None:
    index = PackedIndex(np.array([0, 2]), np.array([4, 4]), np.array([6, 4]), [("b.png", "empty file")])
    assert index.offsets.tolist() == [0, 72, 120]
    index.save(tmp_path)
    found = PackedIndex.load(tmp_path)
    assert found.source_of.tolist() == [0, 2]
    assert found.offsets.tolist() == [0, 72, 120]
    assert found.skipped == [("b.png", "empty file")]


def test_a_reason_is_short_and_has_no_path() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "a.png")) == "No such file or directory"
    assert reason(ValueError("empty file")) == "empty file"
    assert reason(ValueError()) == "ValueError"

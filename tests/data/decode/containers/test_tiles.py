"""Tiles cover an image to its edges, and are called by where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from selftaught.data.decode.containers.arrays import ArrayFile
from selftaught.data.decode.containers.tiles import TiledFile, boxes, starts


def test_tiles_overlap_and_the_last_ends_at_the_edge() -> None:
    assert starts(100, 30, 0.0) == [0, 30, 60, 70]
    assert starts(100, 50, 0.0) == [0, 50]
    assert starts(100, 30, 0.1) == [0, 27, 54, 70]
    assert starts(20, 30, 0.0) == [0]
    covered = np.zeros((70, 45), int)
    for box in boxes(70, 45, side=30, overlap=0.25):
        covered[box.top : box.top + box.height, box.left : box.left + box.width] += 1
    assert covered.min() == 1


def test_large_images_become_tiles_and_small_ones_stay_whole(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (2, 40, 50), dtype=np.uint8)
    np.save(tmp_path / "a.npy", stack)
    whole = ArrayFile(str(tmp_path / "a.npy"), "a.npy", 3)
    file = TiledFile(whole, side=32, overlap=0.0)
    assert file.names == ("0#0,0", "0#18,0", "0#0,8", "0#18,8", "1#0,0", "1#18,0", "1#0,8", "1#18,8")
    tile = file.read(5)
    assert tile.is_tile
    assert file.size(5) == (32, 32)
    np.testing.assert_array_equal(tile.pixels[:, :, 0], stack[1, :32, 18:50])
    alone = TiledFile(whole, side=64, overlap=0.5)
    assert alone.names == ("0", "1")
    assert not alone.read(1).is_tile

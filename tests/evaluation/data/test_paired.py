"""Samples with maps of their own are shared out by images, and known by their maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from selftaught.data.inputs import Given, Image
from selftaught.evaluation.data.paired import Paired, open_paired
from tests.data.trees import text, write
from tests.evaluation.own_data import asked


def opened(root: Path) -> Paired:
    inputs = {"image": Image(), "mask": Given("mask")}
    return open_paired(asked(root, needs=frozenset({"mask"}), inputs=inputs))


def test_shares_are_drawn_by_seed_and_masks_make_the_identity(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):
        write(tmp_path / "images" / f"{i}.png", rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
        write(tmp_path / "masks" / f"{i}.png", np.full((32, 32), i % 2, np.uint8))
    text(tmp_path / "classes.txt", "ground\nthing\n")
    data = opened(tmp_path)
    assert (data.classes, data.train_samples + data.test_samples) == (("ground", "thing"), 20)
    assert "drawn by seed 0" in data.test_is
    half, again, other = data.few(0.5), data.few(0.5), data.few(0.5, seed=1)
    assert half.train_samples == round(0.5 * data.train_samples)
    assert half.train.keys == again.train.keys != other.train.keys
    assert data.few(1.0) is data
    assert len({one.identity for one in (data, half, again, other)}) == 3
    write(tmp_path / "masks" / "0.png", np.ones((32, 32), np.uint8))
    assert opened(tmp_path).identity != data.identity

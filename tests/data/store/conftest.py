"""Folders of images: real photographs, and a few that are drawn."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path, shared_data: Callable[[str], Path]) -> Path:
    """40 real photographs of 320 pixels and less, wide and high ones."""
    out = tmp_path / "photos"
    out.mkdir()
    with zipfile.ZipFile(shared_data("coco256") / "coco256.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("images/val/")][:40]
        for i, name in enumerate(names):
            (out / f"{i:02d}.jpg").write_bytes(archive.read(name))
    return out


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Six images of 24 pixels."""
    out = tmp_path / "photos"
    out.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(out / f"{i}.png")
    return out

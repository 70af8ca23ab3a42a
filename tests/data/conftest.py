"""Real photographs for the sources: small JPEG files cut from the shared sets."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def photos(shared_data: Callable[[str], Path]) -> list[bytes]:
    """24 encoded photographs of two classes, twelve each in turn."""
    with zipfile.ZipFile(shared_data("imagenette128") / "imagenette128.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".JPEG"))]
        tench = [name for name in names if name.startswith("train/n01440764")][:12]
        church = [name for name in names if name.startswith("train/n03028079")][:12]
        return [archive.read(name) for pair in zip(tench, church, strict=True) for name in pair]


Tree = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture
def tree() -> Tree:
    """Write files below a folder."""

    def write(root: Path, files: dict[str, bytes]) -> Path:
        for key, data in files.items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(data)
        return root

    return write

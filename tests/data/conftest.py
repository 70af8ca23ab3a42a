"""Real photographs for the sources, trees of files, a cache for one test, and the samples of a small source."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.data.batch import Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import Samples
from tests.data.trees import Tree


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def samples() -> Samples:
    """The training part of 60 drawn images of 16 pixels."""
    source = open_source("synthetic:N=60,side=16", split="train", needs=frozenset({"image"}))
    return open_samples(source, side=16, sampling=Sampling(), cache_limit_gb=1.0, workers=1)


@pytest.fixture
def photos(_photos: list[bytes]) -> list[bytes]:
    """24 encoded photographs of two classes, twelve each in turn."""
    return list(_photos)


@pytest.fixture(scope="session")
def _photos(shared_data: Callable[[str], Path]) -> list[bytes]:
    """Read once: the archive lists ten thousand."""
    with zipfile.ZipFile(shared_data("imagenette128") / "imagenette128.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".JPEG"))]
        tench = [name for name in names if name.startswith("train/n01440764")][:12]
        church = [name for name in names if name.startswith("train/n03028079")][:12]
        return [archive.read(name) for pair in zip(tench, church, strict=True) for name in pair]


@pytest.fixture
def tree() -> Tree:
    """Write files below a folder."""

    def write(root: Path, files: dict[str, bytes]) -> Path:
        for key, data in files.items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(data)
        return root

    return write

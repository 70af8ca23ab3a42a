"""Tars of a few files, and data opened with their labels."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

LABELLED = frozenset({"image", "label"})


def opened(data: str | Path, split: str = "train", needs: frozenset[str] = LABELLED) -> Source:
    return open_source(str(data), split=split, needs=needs, held_out=0.25)


def plain_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path

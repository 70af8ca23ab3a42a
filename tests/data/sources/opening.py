"""Parts of data, opened by path."""

from __future__ import annotations

from pathlib import Path

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

IMAGES = frozenset({"image"})
LABELLED = frozenset({"image", "label"})


def opened(
    path: Path, split: str = "train", needs: frozenset[str] = IMAGES, *, seed: int = 0, held_out: float = 0.25
) -> Source:
    return open_source(str(path), split=split, needs=needs, seed=seed, held_out=held_out)

"""Folders of images opened as packed samples, and all their pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from selftaught.data.batch import Sampling
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import Samples


def source_of(path: Path, split: str = "train") -> Source:
    return open_source(str(path), split=split, needs=frozenset({"image"}), held_out=0.0)


def opened(
    source: Source, *, side: int = 64, limit: float = 1.0, progress: Callable[[int, int], None] | None = None
) -> Samples:
    return open_samples(source, side=side, sampling=Sampling(), cache_limit_gb=limit, workers=2, progress=progress)


def pictures(samples: Samples, draws: np.ndarray | None = None) -> np.ndarray:
    rows = np.arange(len(samples))
    batch = samples.read(rows, np.full((len(rows), 3), 0.5) if draws is None else draws)
    assert np.array_equal(batch.index, rows)
    assert batch["image"].shape == (len(rows), samples.side, samples.side, 3)
    assert batch["image"].flags.c_contiguous
    return batch["image"]


def opened_at(path: Path, *, side: int = 16, limit: float = 1.0) -> Samples:
    return opened(source_of(path), side=side, limit=limit)

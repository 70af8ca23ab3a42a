"""Samples that are arrays in memory, for tests of what reads samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.store.samples import HostBatch


class InMemory:
    """Images (M, S, S, 3) uint8 and, where they are known, labels (M,) of named classes; see `Samples`."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64] | None,
        *,
        classes: tuple[str, ...] | None,
        keys: Sequence[str],
        fingerprint: str,
    ) -> None:
        self.pixels, self.labels, self.classes = pixels, labels, classes
        self.side = pixels.shape[1]
        self.keys = keys
        self.fingerprint = fingerprint
        self.skipped: list[tuple[str, str]] = []
        self.source_of = np.arange(len(pixels))

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        return HostBatch(index=rows, inputs={"image": self.pixels[rows]})

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        return draws

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        return [np.full((count, 3), 0.5)]

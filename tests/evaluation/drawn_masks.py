"""Coloured rectangles on textured ground with their masks: what a segmentation network learns in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from selftaught.core.randomness import numpy_generator
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample


class Drawn:
    """Images of red and of green rectangles on textured ground: 0 ground, 1 red, 2 green; the upper line not told."""

    classes: tuple[str, ...] = ("ground", "red", "green")
    skipped: list[tuple[str, str]] = []  # noqa: RUF012

    def __init__(self, count: int, seed: int, *, height: int = 36, width: int = 48) -> None:
        self.keys: Sequence[str] = [f"{seed}/{i}" for i in range(count)]
        self.fingerprint = f"{seed} {count}"
        self.seed, self.height, self.width = seed, height, width

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, i: int) -> DenseSample:
        rng = numpy_generator("drawn", self.seed, i)
        image = rng.integers(60, 120, (3, self.height, self.width), dtype=np.uint8)
        mask = np.zeros((self.height, self.width), np.int64)
        for number in (1, 2):
            top, left = rng.integers(0, self.height - 14), rng.integers(0, self.width - 14)
            part = (slice(top, top + 14), slice(left, left + 14))
            mask[part] = number
            image[number - 1][part] = 230
        mask[0] = IGNORE
        empty = torch.zeros(0)
        return DenseSample(
            image=torch.from_numpy(image),
            boxes=empty.reshape(0, 4),
            labels=empty.long(),
            ignore=empty.bool(),
            mask=torch.from_numpy(mask),
        )

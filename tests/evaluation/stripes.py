"""Images of stripes whose direction is the class, and a tiny encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.store.samples import HostBatch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder

SIDE = 32


CPU = torch.device("cpu")


TINY = "timm:test_resnet"


class Stripes:
    """Images in memory: the direction of the stripes is the class; colours, phase and width are free."""

    side = SIDE
    classes: tuple[str, ...] | None = ("lying", "upright", "checked")
    skipped: list[tuple[str, str]] = []  # noqa: RUF012

    def __init__(self, count: int, seed: int, labels: NDArray[np.int64] | None = None) -> None:
        rng = numpy_generator("stripes", seed)
        shown = np.arange(count) % 3
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE
        pictures = []
        for kind in shown:
            wave = [np.sin(2 * np.pi * (rng.uniform(3, 5) * axis + rng.random())) for axis in (y, x)]
            field = wave[0] if kind == 0 else wave[1] if kind == 1 else wave[0] * wave[1]
            colour, noise = rng.uniform(40, 110, 3), rng.normal(0, 12, (SIDE, SIDE, 3))
            pictures.append(128 + field[..., None] * colour + noise)
        self.pictures = np.clip(np.stack(pictures), 0, 255).astype(np.uint8)
        self.labels: NDArray[np.int64] | None = shown.astype(np.int64) if labels is None else labels
        self.source_of = np.arange(count)
        self.fingerprint = f"stripes {count} {seed}"

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def keys(self) -> Sequence[str]:
        return [str(i) for i in range(len(self))]

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        return HostBatch(index=rows, inputs={"image": self.pictures[rows]})

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        return draws

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        return [np.full((count, 3), 0.5)]


def encoder() -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_encoder(TINY, size=SIDE).eval()

"""Images of stripes whose direction is the class, and a tiny encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from tests.evaluation.in_memory import InMemory

SIDE = 32


CPU = torch.device("cpu")


TINY = "timm:test_resnet"


CLASSES = ("lying", "upright", "checked")


class Stripes(InMemory):
    """Images in memory: the direction of the stripes is the class; colours, phase and width are free."""

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
        super().__init__(
            np.clip(np.stack(pictures), 0, 255).astype(np.uint8),
            shown.astype(np.int64) if labels is None else labels,
            classes=CLASSES,
            keys=[str(i) for i in range(count)],
            fingerprint=f"stripes {count} {seed}",
        )


def encoder() -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_encoder(TINY, size=SIDE).eval()

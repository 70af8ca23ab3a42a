"""Pictures with boxes or masks as a probe is given them: training and test samples with one list of classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from selftaught.core.randomness import numpy_generator

IGNORE = 255
"""Of a pixel whose class is not told: neither trained on nor judged."""


@dataclass(frozen=True, kw_only=True)
class DenseSample:
    """One picture with what is known of its places.

    Attributes:
        image: (3, H, W) uint8 RGB.
        boxes: (K, 4) float32: left, top, right, bottom edge in pixels, within the picture; none where masks were
            asked for.
        labels: (K,) int64, class of each box.
        ignore: (K,) bool, boxes that count neither for nor against: difficult in VOC, crowd in COCO, or without area.
        mask: (H, W) int64, class of each pixel or `IGNORE`; None where boxes were asked for.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    ignore: Tensor
    mask: Tensor | None = None


class DenseSamples(Protocol):
    """Pictures of one part of the data, by row. `read` may be called from several threads.

    Attributes:
        classes: of boxes, or of pixels, the background among them.
        fingerprint: hex digest that changes when pictures or annotations do.
        skipped: (path, reason) of what was left out because `skip_broken` allowed it.
    """

    classes: tuple[str, ...]
    fingerprint: str
    skipped: list[tuple[str, str]]

    @property
    def keys(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def read(self, i: int) -> DenseSample: ...


@dataclass(frozen=True, kw_only=True)
class Dense:
    """What a probe of places fits on and what it is judged by.

    Attributes:
        test_is: where the test part comes from, for the reader of a figure.
        notes: sentences for people on how the data were read.
    """

    train: DenseSamples
    test: DenseSamples
    classes: tuple[str, ...]
    test_is: str
    notes: tuple[str, ...] = ()


class DenseSubset:
    """Rows of `base` under new numbers; see `DenseSamples`."""

    def __init__(self, base: DenseSamples, rows: np.ndarray) -> None:
        self.classes = base.classes
        self.fingerprint = hashlib.sha256(base.fingerprint.encode() + rows.tobytes()).hexdigest()
        self.skipped = base.skipped
        self.keys: Sequence[str] = [base.keys[i] for i in rows]
        self._base, self._rows = base, rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, i: int) -> DenseSample:
        """As `base` reads it."""
        return self._base.read(int(self._rows[i]))


def few_dense(data: Dense, fraction: float, *, limit: int | None = None, seed: int = 0) -> Dense:
    """The same data with a share of the training pictures, or of `limit` of them, at least one, drawn by `seed`."""
    count = len(data.train)
    kept = max(1, round(fraction * min(count, count if limit is None else limit)))
    if kept == count:
        return data
    rows = np.sort(numpy_generator(seed, "fraction").permutation(count)[:kept])
    return replace(data, train=DenseSubset(data.train, rows))


def identity_of(data: Dense) -> str:
    """Hex digest that changes when the pictures, their annotations or the classes do."""
    return hashlib.sha256(repr((data.train.fingerprint, data.test.fingerprint, data.classes)).encode()).hexdigest()

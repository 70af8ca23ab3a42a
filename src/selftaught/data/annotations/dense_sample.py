"""Images with boxes or masks, by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

IGNORE = 255
"""Ignore index: pixels without a class, neither trained on nor evaluated."""


@dataclass(frozen=True, kw_only=True)
class DenseSample:
    """One image with what is known of its places.

    Attributes:
        image: (3, H, W) uint8 RGB.
        boxes: (K, 4) float32: left, top, right, bottom edge in pixels, within the image; none where masks were
            asked for.
        labels: (K,) int64, class of each box.
        ignore: (K,) bool, boxes that count neither for nor against: difficult in VOC, crowd in COCO, or without area.
        mask: (H, W) int64, class of each pixel or `IGNORE`; None where boxes were asked for.
        contours: (A, H, W) bool, lines that each of A people drew; None where anything else was asked for.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    ignore: Tensor
    mask: Tensor | None = None
    contours: Tensor | None = None


class DenseSamples(Protocol):
    """Images of one part of the data, by row. `read` may be called from several threads.

    Attributes:
        classes: of boxes, or of pixels, the background among them.
        fingerprint: hex digest that changes when images or annotations do.
        skipped: (path, reason) of what was left out because `skip_broken` allowed it.
    """

    classes: tuple[str, ...]
    fingerprint: str
    skipped: list[tuple[str, str]]

    @property
    def keys(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def read(self, i: int) -> DenseSample: ...

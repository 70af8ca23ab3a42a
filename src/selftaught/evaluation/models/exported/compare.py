"""Whether an exported program answers as the model does, on images that are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.evaluation.metrics.box_matches import Found
from selftaught.evaluation.models.dense_model import Finder, FoundMask
from selftaught.evaluation.models.network import ClassModel, ImageModel

TOLERANCE = {"classes": 1e-4, "masks": 5e-3, "boxes": 1e-3}
"""Largest difference of probabilities. Before the network of masks, pixels are rounded to whole levels; one that is in
the middle of two may fall to either side, which is why a hundredth of the pixels does not count there."""
ALIKE = 95.0
"""Percent of the boxes that have a partner at least: one of their class with nearly the same corners and score. Of two
that overlap by just as much as is allowed, another one may be left."""
CORNER = 0.01
"""Of the long side of an image, by which corners of partners may differ."""
_TRIED = ((1, 97, 97), (2, 139, 89))
"""Sizes of the images: primes, so that few resized pixels are in the middle of two levels."""
NOISE = 25
"""Levels by which their pixels vary, for the same reason."""
MOST = 0.99
"""Share of the pixels of masks whose difference counts."""

Gaps = NDArray[np.float64]


def differences(kind: str, model: ClassModel | Finder, program: Path, least: float = 0.0) -> dict[str, float]:
    """The largest "difference" of probabilities from those of the model, and for boxes percent that are "alike".

    `least` is the score from which the program gives boxes.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(program.read_bytes(), providers=["CPUExecutionProvider"])
    if isinstance(model, ClassModel):
        return {"difference": _digits(_of_classes(model, session))}
    if kind == "masks":
        return {"difference": _digits(_of_masks(model, session))}
    return _of_boxes(model, session, least)


@torch.no_grad()
def _of_classes(model: ClassModel, session: Any) -> float:
    whole, found = ImageModel(model).eval(), 0.0
    for images in _drawn(model.encoder.channels):
        (theirs,) = session.run(None, {"images": images})
        found = max(found, float(np.abs(theirs - whole(torch.from_numpy(images)).numpy()).max()))
    return found


def _of_masks(find: Finder, session: Any) -> float:
    found: list[NDArray[np.float32]] = []
    for images in _drawn(3):
        _, theirs = session.run(["classes", "probability"], {"images": images})
        for image, probability in zip(images, theirs, strict=True):
            own = find(sample_of(image))
            assert isinstance(own, FoundMask)
            found.append(np.abs(probability - own.confidence).flatten())
    return float(np.quantile(np.concatenate(found), MOST))


def _of_boxes(find: Finder, session: Any, least: float) -> dict[str, float]:
    gaps: list[float] = []
    for image in (image for images in _drawn(3) for image in images):
        boxes, scores, classes = session.run(["boxes", "scores", "classes"], {"images": image[None]})
        own = find(sample_of(image))
        assert isinstance(own, Found)
        theirs, reach = Found(boxes=boxes, scores=scores, labels=classes), CORNER * max(image.shape[:2])
        found, other = partners(theirs, own, reach)
        gaps += [*found, *other[own.scores > least + TOLERANCE["boxes"]]]
    near = [gap for gap in gaps if np.isfinite(gap)]
    share = 100 * len(near) / len(gaps) if gaps else 100.0
    return {"difference": _digits(max(near, default=0.0)), "alike": round(share, 2)}


def partners(first: Found, second: Found, reach: float) -> tuple[Gaps, Gaps]:
    """Of each box of both (A,), (B,) the difference of its score from its partner's; infinite where it has none.

    A partner is of the same class, no corner of it is farther away than `reach` pixels, and its score differs least.
    """
    if not len(first.scores) or not len(second.scores):
        return np.full(len(first.scores), np.inf), np.full(len(second.scores), np.inf)
    far = np.abs(first.boxes[:, None] - second.boxes[None]).max(2) > reach
    gap = np.abs(first.scores[:, None] - second.scores[None])
    gap = np.where(far | (first.labels[:, None] != second.labels[None]), np.inf, gap)
    gap = np.where(gap > 10 * TOLERANCE["boxes"], np.inf, gap)
    return gap.min(1), gap.min(0)


def sample_of(image: NDArray[np.uint8]) -> DenseSample:
    """An image (H, W, 3) of which nothing is known."""
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return DenseSample(image=pixels, ignore=torch.zeros(0, dtype=torch.bool), **none)


def _drawn(channels: int) -> Iterator[NDArray[np.uint8]]:
    """Images (N, H, W, C) of several sizes."""
    rng = np.random.default_rng(0)
    for n, height, width in _TRIED:
        coarse = rng.integers(0, 256, (n, 8, 8, channels), dtype=np.uint8)
        blocks = coarse.repeat(height // 8 + 1, 1).repeat(width // 8 + 1, 2)[:, :height, :width]
        noise = rng.integers(-NOISE, NOISE + 1, blocks.shape)
        yield (blocks + noise).clip(0, 255).astype(np.uint8)


def _digits(value: float) -> float:
    return float(f"{value:.2g}")

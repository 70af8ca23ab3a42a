"""Average precision of detected boxes, by the rules of PASCAL VOC and of COCO, kept by image to be resampled.

Own code because an interval needs the metric of hundreds of resamplings of the images: boxes are matched once, and an
image that is drawn twice counts twice. The tests hold it against pycocotools and torchmetrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.metrics.class_mean import class_mean, resampled_class_means

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Recalls = Literal["area", 11, 101]
"""How a curve becomes a metric: its area (VOC since 2010), or the mean of the highest precision at or beyond each of
11 (VOC 2007) or 101 (COCO) recalls."""

THRESHOLDS = {"voc": np.array([0.5]), "coco": np.linspace(0.5, 0.95, 10)}
"""Overlaps from which a box counts as found."""
AT = {11: np.arange(11) / 10, 101: np.linspace(0, 1, 101)}
"""Recalls. Tenths are the nearest numbers to them, so that a recall of 3/5 is one of 0.6; hundredths are rounded as in
the COCO evaluation."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a detector found in one image.

    Attributes:
        boxes: (D, 4): left, top, right, bottom edge in pixels.
        scores: (D,) confidences.
        labels: (D,) int64 classes.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is in one image.

    Attributes:
        boxes: (G, 4), as in `Found`.
        labels: (G,) int64 classes.
        ignore: (G,) bool: finding the box counts neither for nor against.
    """

    boxes: Floats
    labels: NDArray[np.int64]
    ignore: Bools


class Matches:
    """Which boxes were found, image by image, with the average precision of any resampling of the images.

    Args:
        num_classes: K.
        rule: "voc": one threshold; a box found twice is an error the second time, even where another would be free; a
            difficult box is matched by its overlap alone (Everingham et al., IJCV 2010, section 4.2).
            "coco": ten thresholds; each box takes the best one that is still free; a crowd's box takes any number that
            are in it by the share of their own area (Lin et al., ECCV 2014, and the evaluation published with it).
    """

    def __init__(self, num_classes: int, rule: Literal["voc", "coco"]) -> None:
        self.num_classes = num_classes
        self.rule = rule
        self.thresholds: Floats = THRESHOLDS[rule]
        self._positives: list[NDArray[np.int64]] = []
        self._parts: list[list[tuple[Floats, Bools, Bools, int]]] = [[] for _ in range(num_classes)]
        self._sorted: list[tuple[Bools, Bools, NDArray[np.int64]]] | None = None

    def __len__(self) -> int:
        return len(self._positives)

    def add(self, found: Found, truth: Truth) -> None:
        """The next image."""
        picture, self._sorted = len(self), None
        counted = truth.labels[~truth.ignore]
        self._positives.append(np.bincount(counted, minlength=self.num_classes))
        match = _match_voc if self.rule == "voc" else _match_coco
        for label in np.unique(found.labels):
            order = np.flatnonzero(found.labels == label)
            order = order[np.argsort(-found.scores[order], kind="stable")]
            there = truth.labels == label
            right, spared = match(found.boxes[order], truth.boxes[there], truth.ignore[there], self.thresholds)
            self._parts[label].append((found.scores[order], right, spared, picture))

    def positives(self) -> NDArray[np.int64]:
        """(K,) boxes that count."""
        total: NDArray[np.int64] = np.sum(self._positives, axis=0, dtype=np.int64)
        return total

    def answers(self) -> tuple[Floats, Bools, NDArray[np.int64], NDArray[np.int64]]:
        """Score, whether it is right at the lowest threshold, class and image (D,) of all boxes that count."""
        parts = [(label, part) for label, parts in enumerate(self._parts) for part in parts]
        kept = [(~part[2][0], label, part) for label, part in parts]
        return (
            np.concatenate([np.zeros(0), *(part[0][keep] for keep, _, part in kept)]),
            np.concatenate([np.zeros(0, bool), *(part[1][0][keep] for keep, _, part in kept)]),
            np.concatenate([np.zeros(0, np.int64), *(np.full(keep.sum(), label) for keep, label, _ in kept)]),
            np.concatenate([np.zeros(0, np.int64), *(np.full(keep.sum(), part[3]) for keep, _, part in kept)]),
        )

    def average_precision(self, recalls: Recalls, rows: NDArray[np.int64] | None = None) -> Floats:
        """Average precision in percent (K, thresholds); nan for a class without boxes.

        Args:
            recalls: see `Recalls`.
            rows: images, possibly several times; all of them once where not given.
        """
        counts = np.ones(len(self)) if rows is None else np.bincount(rows, minlength=len(self)).astype(np.float64)
        positives = counts @ np.asarray(self._positives)
        figures = np.full((self.num_classes, len(self.thresholds)), np.nan)
        for label, (right, spared, pictures) in enumerate(self._by_score()):
            if positives[label]:
                weights = counts[pictures] * ~spared
                curves = zip(right, weights, strict=True)
                figures[label] = [_figure(hits, weight, positives[label], recalls) for hits, weight in curves]
        return 100 * figures

    def mean(self, recalls: Recalls) -> float:
        """Mean over thresholds and over the classes that have boxes, in percent; nan where none has."""
        return class_mean(self.average_precision(recalls).mean(1))

    def resampled_means(self, recalls: Recalls, groups: NDArray[np.int64] | None = None) -> Floats:
        """That mean on each resampling (B,) of the images, or of `groups` of them, cut to 0 to 100."""
        of = resampled_class_means(lambda rows: self.average_precision(recalls, rows).mean(1), len(self), groups)
        return np.clip(of, 0, 100)

    def _by_score(self) -> list[tuple[Bools, Bools, NDArray[np.int64]]]:
        """Right and spared (thresholds, D), and images (D,), of all boxes of each class by falling score."""
        if self._sorted is None:
            self._sorted = [self._sort(parts) for parts in self._parts]
        return self._sorted

    def _sort(self, parts: list[tuple[Floats, Bools, Bools, int]]) -> tuple[Bools, Bools, NDArray[np.int64]]:
        if not parts:
            none = np.zeros((len(self.thresholds), 0), dtype=bool)
            return none, none, np.zeros(0, dtype=np.int64)
        order = np.argsort(-np.concatenate([scores for scores, *_ in parts]), kind="stable")
        right = np.concatenate([part[1] for part in parts], axis=1)[:, order]
        spared = np.concatenate([part[2] for part in parts], axis=1)[:, order]
        pictures = np.concatenate([np.full(len(scores), picture) for scores, _, _, picture in parts])
        return right, spared, pictures[order]


def overlaps(boxes: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Intersection over union, and over the area of `boxes` alone: (D, 4) and (G, 4) -> (D, G) each."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    area, other = _area_of(boxes)[:, None], _area_of(others)[None]
    return shared / np.maximum(area + other - shared, 1e-12), shared / np.maximum(area, 1e-12)


def _area_of(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return area


def _match_coco(boxes: Floats, truth: Floats, crowd: Bools, thresholds: Floats) -> tuple[Bools, Bools]:
    """Right and spared (T, D) of boxes by falling score."""
    right = np.zeros((len(thresholds), len(boxes)), dtype=bool)
    spared = right.copy()
    union, inside = overlaps(boxes, truth)
    overlap = np.where(crowd, inside, union)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    taken = np.zeros((len(thresholds), len(truth)), dtype=bool)
    for d in np.flatnonzero(overlap.max(1, initial=0.0) >= least[0]):
        free = (overlap[d] >= least) & ~taken
        alone, crowded = free & ~crowd, free & crowd
        some = np.flatnonzero(alone.any(1))
        right[some, d] = True
        # The last of equal overlaps, as in the published evaluation; a crowd is never taken.
        ranked = np.where(alone[some], overlap[d], -1.0)[:, ::-1]
        taken[some, len(truth) - 1 - ranked.argmax(1)] = True
        spared[:, d] = crowded.any(1) & ~right[:, d]
    return right, spared


def _match_voc(boxes: Floats, truth: Floats, difficult: Bools, thresholds: Floats) -> tuple[Bools, Bools]:
    """Right and spared (T, D) of boxes by falling score."""
    right = np.zeros((len(thresholds), len(boxes)), dtype=bool)
    spared = right.copy()
    overlap, _ = overlaps(boxes, truth)
    for t, least in enumerate(thresholds):
        taken: set[int] = set()
        for d in np.flatnonzero(overlap.max(1, initial=0.0) >= least):
            best = int(overlap[d].argmax())
            spared[t, d] = difficult[best]
            right[t, d] = not difficult[best] and best not in taken
            taken.add(best)
    return right, spared


def _figure(right: Bools, weights: Floats, positives: float, recalls: Recalls) -> float:
    """Average precision in [0, 1] of boxes (D,) by falling score, each of which counts `weights` (D,) times."""
    hits = np.cumsum(weights * right)
    seen = np.cumsum(weights)
    recall = hits / positives
    precision = hits / np.maximum(seen, np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    if recalls == "area":
        return float(np.diff(recall, prepend=0.0) @ precision)
    at = np.searchsorted(recall, AT[recalls], side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())

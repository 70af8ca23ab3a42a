"""Intersection over union of classes, from counts of each image (Everingham et al., IJCV 2010, section 4.1.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.evaluation.metrics.class_mean import class_mean

Counts = NDArray[np.int64]
"""(3, K): pixels of each class that are right, that are predicted so, and that are so; (M, 3, K) of M images."""


def count_pixels(predicted: NDArray[np.int64], truth: NDArray[np.int64], num_classes: int) -> Counts:
    """Counts (3, K) of an image; pixels of truth `IGNORE` are left out."""
    told = truth != IGNORE
    predicted, truth = predicted[told], truth[told]
    right = predicted[predicted == truth]
    return np.stack([np.bincount(values.ravel(), minlength=num_classes) for values in (right, predicted, truth)])


def class_iou(counts: Counts, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """IoU (K,) in [0, 1] over all images (M, 3, K), or over those rows, which may repeat.

    nan for a class that is neither there nor predicted.
    """
    if rows is not None:
        counts = counts * np.bincount(rows, minlength=len(counts))[:, None, None]
    right, predicted, truth = counts.sum(0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = right / (predicted + truth - right)
    return found


def mean_iou(counts: Counts) -> float:
    """Mean over classes in percent, of all images."""
    return 100 * class_mean(class_iou(counts))


def pixel_accuracy(counts: Counts) -> float:
    """Share of all pixels that are right, in percent."""
    right, _, truth = counts.sum((0, 2))
    return float(100 * right / truth)


def mean_accuracy(counts: Counts) -> float:
    """Mean over the classes that occur of the share of their pixels that are right, in percent."""
    right, _, truth = counts.sum(0)
    return float(100 * (right[truth > 0] / truth[truth > 0]).mean())

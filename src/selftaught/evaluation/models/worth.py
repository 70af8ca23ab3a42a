"""What a model reaches on samples it did not learn from, and whether its probabilities are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from selftaught.evaluation.metrics.calibration import (
    calibration_error,
    dealt_parts,
    fit_temperature,
    grouped_interval,
    log_loss,
)
from selftaught.evaluation.metrics.class_mean import class_mean
from selftaught.evaluation.metrics.intervals import difference, groups_said, interval_of, resample_groups

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Logits (M, K) of samples that the model did not learn from, with their classes (M,) and what is known of them.

    Attributes:
        weights: (M,) by which the temperature counts them; None for alike.
        groups: (M,) such as persons; intervals are over groups where there are some.
    """

    logits: Floats
    labels: NDArray[np.int64]
    weights: Floats | None = None
    groups: NDArray[np.int64] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """(M,) whether the most probable class is the right one."""
        return np.asarray(self.logits.argmax(1) == self.labels)

    @property
    def num_groups(self) -> int:
        """How many groups there are; of samples that are independent, as many as samples."""
        return len(self.labels) if self.groups is None else len(np.unique(self.groups))

    @property
    def order(self) -> tuple[float, float]:
        """Better is greater: weighted accuracy, then cross entropy at the best temperature."""
        accuracy = float(np.average(self.right, weights=self.weights))
        hot = fit_temperature(self.logits, self.labels, self.weights)
        return accuracy, -log_loss(self.logits, self.labels, self.weights, hot)

    def some(self, rows: NDArray[np.bool_]) -> Judged:
        """Those samples alone."""
        weights = None if self.weights is None else self.weights[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Judged(logits=self.logits[rows], labels=self.labels[rows], weights=weights, groups=groups)


def accuracy_of(judged: Judged, classes: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy in percent with its interval, that of each class, and their mean.

    Where samples belong together also the number of "groups", over which the interval is.
    """
    right = judged.right
    interval = grouped_interval(right, judged.groups)
    by_class = np.array([100 * right[judged.labels == k].mean() if (judged.labels == k).any() else np.nan
                         for k in range(len(classes))])  # fmt: skip
    return {
        "samples": len(right),
        "accuracy": round(100 * float(right.mean()), 3),
        "interval": list(interval),
        **({"groups": judged.num_groups} if judged.num_groups < len(right) else {}),
        "balanced_accuracy": round(class_mean(by_class), 3),
        "by_class": {
            name: None if np.isnan(value) else round(float(value), 3)
            for name, value in zip(classes, by_class, strict=True)
        },
    }


def interval_said(found: Mapping[str, Any]) -> str:
    """What the interval of `accuracy_of` is worth, where samples belong together; else nothing."""
    return groups_said(found["groups"], found["samples"]) if "groups" in found else ""


def gain_of(own: Judged, random: Judged) -> dict[str, Any]:
    """Points of accuracy above random weights on the same samples, with the interval of the difference.

    Over whole groups where there are two or more, see `resample_groups`; how often each is right, and so the
    difference, varies from group to group.
    """
    first, second = (100 * one.right.astype(np.float32) for one in (own, random))
    interval = difference(first, second)
    if _grouped(own):
        assert own.groups is not None
        interval = interval_of(resample_groups(first - second, own.groups))
    return {"value": round(float(first.mean() - second.mean()), 3), "interval": list(interval)}


def calibrated(judged: Judged, seed: int) -> tuple[float, dict[str, Any]]:
    """The temperature of all samples, and the calibration error before and after.

    The error after is of temperatures that were fitted to the other half of the samples each time; groups are not
    divided, so that it is None for the samples of a single one.
    """
    half = dealt_parts(len(judged.labels), 2, judged.groups, seed, "calibration") == 0
    after = np.empty_like(judged.logits)
    has_halves = half.any() and not half.all()
    for part in (half, ~half) if has_halves else ():
        other = judged.some(~part)
        after[part] = softmax(judged.logits[part] / fit_temperature(other.logits, other.labels, other.weights), axis=1)
    before = softmax(judged.logits, axis=1)
    hot = fit_temperature(judged.logits, judged.labels, judged.weights)
    found = {
        "temperature": round(hot, 4),
        "ece_before": round(calibration_error(before, judged.labels, judged.weights), 3),
        "ece_after": round(calibration_error(after, judged.labels, judged.weights), 3) if has_halves else None,
        "samples": len(judged.labels),
    }
    return hot, found


def _grouped(judged: Judged) -> bool:
    return judged.groups is not None and len(np.unique(judged.groups)) > 1

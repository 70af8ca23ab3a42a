"""Average precision of rankings: the area under the precision-recall curve, and PASCAL VOC's two forms of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.fit.targets import Targets

Float = NDArray[np.float64]


class Rankings:
    """M test samples ranked by their scores for each of K classes.

    Samples of equal score share one place, so that their order in the data does not matter. Metrics are shares in
    [0, 1] of each class (K,), nan for a class that no counted sample shows; `drawn` (M,) are the samples that a
    bootstrap drew, all once unless given.

    Args:
        scores: (M, K), the larger the likelier.
        targets: (M, K); those of -1 are left out of their class.
    """

    def __init__(self, scores: NDArray[np.floating], targets: Targets) -> None:
        self._order = np.argsort(-scores, axis=0, kind="stable").T
        ranked = np.take_along_axis(scores.T, self._order, axis=1)
        found = np.take_along_axis(targets.T, self._order, axis=1)
        self._hits, self._counts = found == 1, found != -1
        places = np.arange(len(scores))
        ends = np.ones(ranked.shape, bool)
        ends[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
        last = np.where(ends, places, len(scores) - 1)
        self._last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]

    def area(self, drawn: NDArray[np.int64] | None = None) -> Float:
        """Sum of precision x growth of recall, as scikit-learn's average_precision_score has it."""
        precision, recall = self._curves(drawn)
        return _area(precision, recall)

    def interpolated_area(self, drawn: NDArray[np.int64] | None = None) -> Float:
        """The same with the best precision at this recall or a higher one: VOC from 2010 on, FAIR's VOC07 SVM."""
        precision, recall = self._curves(drawn)
        return _area(_envelope(precision), recall)

    def eleven_points(self, drawn: NDArray[np.int64] | None = None) -> Float:
        """Mean of that best precision at recalls 0, 0.1, ... 1: PASCAL VOC 2007 (Everingham et al., IJCV 2010)."""
        precision, recall = self._curves(drawn)
        envelope = _envelope(precision)
        points = []
        for least in np.linspace(0, 1, 11):
            place = (recall < least - 1e-9).sum(1).clip(max=recall.shape[1] - 1)
            points.append(envelope[np.arange(len(envelope)), place])
        return np.where(np.isnan(recall[:, -1]), np.nan, np.mean(points, axis=0))

    def _curves(self, drawn: NDArray[np.int64] | None) -> tuple[Float, Float]:
        """Precision and recall (K, M) at every place of the rankings."""
        times = np.ones(self._order.shape[1]) if drawn is None else np.bincount(drawn, minlength=self._order.shape[1])
        weights = times[self._order] * self._counts
        hits = np.take_along_axis(np.cumsum(weights * self._hits, axis=1), self._last, axis=1)
        seen = np.take_along_axis(np.cumsum(weights, axis=1), self._last, axis=1)
        positives = hits[:, -1:]
        recall = np.where(positives > 0, hits / np.maximum(positives, 1), np.nan)
        return hits / np.maximum(seen, 1), recall


def _area(precision: Float, recall: Float) -> Float:
    growth = np.diff(recall, axis=1, prepend=0.0)
    return np.asarray((growth * precision).sum(1))


def _envelope(precision: Float) -> Float:
    return np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]

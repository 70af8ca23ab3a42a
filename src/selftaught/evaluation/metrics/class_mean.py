"""The mean over classes of a metric, of all test samples or of a resampling of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.metrics.intervals import resample

Figures = NDArray[np.float64]


def class_mean(figures: Figures, whole: Figures | None = None) -> float:
    """Mean of the metrics (K,) of the classes that have one (not nan); nan if no class has one.

    Args:
        figures: metrics of all test samples, or of a resampling.
        whole: (K,) of all test samples, where `figures` is of a resampling: a class that the draw lacks keeps its
            metric. Left out, rare classes, which are the hard ones, would make every resampling look better than the
            whole.
    """
    if whole is not None:
        figures = np.where(np.isfinite(figures), figures, whole)
    known = figures[np.isfinite(figures)]
    return float(known.mean()) if len(known) else float("nan")


def resampled_class_means(
    figure: Callable[[NDArray[np.int64] | None], Figures], count: int, groups: NDArray[np.int64] | None = None
) -> Figures:
    """The mean over classes on each resampling (B,) of `count` test samples, for `intervals.interval_of`.

    Of whole `groups` (count,) where given, see `intervals.resample`.

    `figure` (K,) gets the indices of the drawn samples, perhaps repeated; None stands for all of them once.
    """
    whole = figure(None)
    return resample(lambda drawn: class_mean(figure(drawn), whole), count, groups=groups)

"""The score of an encoder from the contribution of each test sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.metrics.intervals import bootstrap, interval_of, resample_groups
from selftaught.evaluation.probes.base import Score

Groups = NDArray[np.int64]
"""(M,) the group of each test sample, such as a person."""


def best_stage(
    outcomes: Mapping[str, NDArray[np.float32]], more: Mapping[str, Any] | None = None, *, groups: Groups | None = None
) -> Score:
    """The score of a mean over test samples, from the outcomes (M,) of every stage.

    Intervals are over samples, or over `groups` where there are two or more.
    """
    stages = {name: round(float(values.mean(dtype=np.float64)), 3) for name, values in outcomes.items()}
    best = max(stages, key=lambda name: stages[name])
    if not _several(groups):
        intervals = {name: bootstrap(values) for name, values in outcomes.items()}
        resampled = {}
    else:
        assert groups is not None
        resampled = {name: resample_groups(values, groups) for name, values in outcomes.items()}
        intervals = {name: interval_of(values) for name, values in resampled.items()}
    return Score(
        value=stages[best],
        stage=best,
        stages=stages,
        interval=intervals[best],
        stage_intervals=intervals,
        more=more or {},
        outcomes=None if resampled else outcomes[best],
        resampled=resampled.get(best),
        stage_outcomes=outcomes,
        groups=groups,
    )


def resampled_over(groups: Groups | None, samples: str) -> str:
    """What the intervals of `best_stage` are over, in words: "9 groups", or `samples`."""
    return f"{len(np.unique(groups))} groups" if groups is not None and _several(groups) else samples


def _several(groups: Groups | None) -> bool:
    return groups is not None and len(np.unique(groups)) > 1

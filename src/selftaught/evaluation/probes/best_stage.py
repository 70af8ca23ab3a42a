"""The score of an encoder from the contribution of each test sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.metrics.intervals import bootstrap
from selftaught.evaluation.probes.base import Score


def best_stage(outcomes: Mapping[str, NDArray[np.float32]], more: Mapping[str, Any] | None = None) -> Score:
    """The score of a mean over test samples, from the outcomes (M,) of every stage."""
    stages = {name: round(float(values.mean(dtype=np.float64)), 3) for name, values in outcomes.items()}
    intervals = {name: bootstrap(values) for name, values in outcomes.items()}
    best = max(stages, key=lambda name: stages[name])
    return Score(
        value=stages[best],
        stage=best,
        stages=stages,
        interval=intervals[best],
        stage_intervals=intervals,
        more=more or {},
        outcomes=outcomes[best],
        stage_outcomes=outcomes,
    )

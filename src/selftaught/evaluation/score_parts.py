"""The score of all folds of a cross-validation together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.data.base import EvaluationData
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.probes.base import Score, best_stage


def score_parts(score: Callable[[EvaluationData], Score], data: EvaluationData) -> Score:
    """The score of `data`; where there are folds, of all their test samples, with an interval over all of them.

    Means over samples are those of all predictions; other metrics are the mean over folds, weighed by test samples.
    """
    if len(data.parts) == 1:
        return score(data)
    scores = [score(fold) for fold in data.parts]
    weights = np.array([len(fold.test) for fold in data.parts], float)
    weights /= weights.sum()
    names = list(scores[0].stages)
    more = {"folds": len(scores), "fold_values": [s.value for s in scores]} | _merged([s.more for s in scores], weights)
    if all(set(s.stage_outcomes) == set(names) for s in scores):
        pooled = {name: np.concatenate([s.stage_outcomes[name] for s in scores]) for name in names}
        known = [s.groups for s in scores if s.groups is not None]
        groups = np.concatenate(known) if len(known) == len(scores) else None
        return dataclasses.replace(best_stage(pooled, more, groups=groups), files=scores[0].files)
    stages = {n: round(float(np.dot(weights, [s.stages[n] for s in scores])), 3) for n in names}
    best = max(stages, key=lambda name: stages[name])
    found = Score(value=stages[best], stage=best, stages=stages, more=more, files=scores[0].files)
    if not all(set(s.stage_resampled) == set(names) for s in scores):
        return found
    resampled = {n: np.stack([s.stage_resampled[n] for s in scores], 1) @ weights for n in names}
    intervals = {name: interval_of(values) for name, values in resampled.items()}
    return dataclasses.replace(found, interval=intervals[best], stage_intervals=intervals, resampled=resampled[best])


def _merged(found: Sequence[Any], weights: NDArray[np.float64]) -> dict[str, Any]:
    """Means of the metrics that all folds have; other values if they are the same in all folds."""
    kept: dict[str, Any] = {}
    for key in found[0]:
        values = [one.get(key) for one in found]
        if key.endswith(("_intervals", "_interval")) or key in ("costs", "epochs", "tried"):
            continue  # of one fold's test samples, or choices of one fold
        if key == "gallery":
            kept[key] = values[0]  # the files are of the first fold too
        elif key == "queries":
            kept[key] = sum(values)
        elif all(isinstance(value, dict) for value in values):
            kept[key] = _merged(values, weights)
        elif any(isinstance(value, bool | str | list) for value in values):
            kept |= {key: values[0]} if all(value == values[0] for value in values) else {}
        else:
            known = [(w, v) for w, v in zip(weights, values, strict=True) if v is not None]
            total = sum(w for w, _ in known)
            kept[key] = round(float(sum(w * v for w, v in known) / total), 3) if known else None
    return kept

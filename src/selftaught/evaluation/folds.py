"""Test parts of labelled data that have none of their own: a stratified share, or every sample once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.evaluation.fit.targets import Targets, deal_folds
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.probes.base import Labelled, Score
from selftaught.evaluation.probes.best_stage import best_stage

SMALL = 2000
"""Labelled samples below which a fifth is the test part, a tenth from there on."""
FOLDS, FOLDED_BELOW = 5, 500
"""Parts of a cross-validation, and the labelled samples below which it is the default."""


def usual_share(count: int) -> float:
    """The share of so many labelled samples that is their test part."""
    return 0.2 if count < SMALL else 0.1


def held_for_test(targets: Targets, share: float) -> NDArray[np.bool_]:
    """Which samples (N,) are the test part: the share of each class, drawn once.

    A class with two samples or more has at least one on either side; one with a single sample is trained on. Where
    samples show several classes, they are dealt by the rarest that they show.
    """
    shows = targets == 1
    if (shows.sum(1) > 1).any():
        return np.asarray(deal_folds(targets, max(2, round(1 / share)), 0) == 0)
    held = np.zeros(len(targets), bool)
    rng = numpy_generator("test part")
    for k in range(targets.shape[1]):
        members = rng.permutation(np.flatnonzero(shows[:, k]))
        held[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    return held


def dealt(targets: Targets, folds: int) -> NDArray[np.int64]:
    """The fold (N,) in which each sample is tested; -1 for the only sample of its class, which is always trained on."""
    fold = deal_folds(targets, folds, 0)
    shows = targets == 1
    lonely = shows[:, shows.sum(0) == 1].any(1) & (shows.sum(1) == 1)
    fold[lonely] = -1
    return fold


def parts_of(whole: Samples, targets: Targets, held: NDArray[np.bool_], classes: tuple[str, ...]) -> Labelled:
    """The samples (N,) with `held` (N,) as their test part."""
    rows = np.flatnonzero(~held), np.flatnonzero(held)
    if not len(rows[0]) or not len(rows[1]):
        raise ValueError(
            f"{len(held)} labelled samples of {len(classes)} classes are too few to test on some and learn from the "
            "rest; give two samples of a class at least"
        )
    return Labelled(
        train=Subset(whole, rows[0]),
        test=Subset(whole, rows[1]),
        classes=classes,
        train_targets=targets[rows[0]],
        test_targets=targets[rows[1]],
    )


def with_folds(whole: Samples, targets: Targets, folds: int, classes: tuple[str, ...]) -> Labelled:
    """Samples of which each is tested once, by a probe that learned from the other folds."""
    fold = dealt(targets, folds)
    parts = [parts_of(whole, targets, fold == k, classes) for k in range(folds) if (fold == k).any()]
    if len(parts) < 2:
        return parts_of(whole, targets, held_for_test(targets, usual_share(len(fold))), classes)
    return dataclasses.replace(parts[0], folds=tuple(parts))


def score_folds(score: Callable[[Labelled], Score], data: Labelled) -> Score:
    """The score of `data`; where there are folds, of all their test samples, with an interval over all of them.

    Means over samples are those of all predictions; other metrics are the mean over folds, weighed by test samples.
    """
    if not data.folds:
        return score(data)
    scores = [score(fold) for fold in data.folds]
    weights = np.array([len(fold.test) for fold in data.folds], float)
    weights /= weights.sum()
    names = list(scores[0].stages)
    more = {"folds": len(scores), "fold_values": [s.value for s in scores]} | _merged([s.more for s in scores], weights)
    if all(set(s.stage_outcomes) == set(names) for s in scores):
        pooled = {name: np.concatenate([s.stage_outcomes[name] for s in scores]) for name in names}
        return dataclasses.replace(best_stage(pooled, more), files=scores[0].files)
    stages = {n: round(float(np.dot(weights, [s.stages[n] for s in scores])), 3) for n in names}
    best = max(stages, key=lambda name: stages[name])
    found = Score(value=stages[best], stage=best, stages=stages, more=more, files=scores[0].files)
    if not all(set(s.stage_resampled) == set(names) for s in scores):
        return found
    resampled = {n: np.stack([s.stage_resampled[n] for s in scores], 1) @ weights for n in names}
    intervals = {name: interval_of(values) for name, values in resampled.items()}
    return dataclasses.replace(found, interval=intervals[best], stage_intervals=intervals, resampled=resampled[best])


def _merged(found: Sequence[Any], weights: NDArray[np.float64]) -> dict[str, Any]:
    """Figures that all folds have, averaged; what is no figure is told where it is the same in all."""
    kept: dict[str, Any] = {}
    for key in found[0]:
        values = [one.get(key) for one in found]
        if key.endswith(("_intervals", "_interval")) or key in ("costs", "epochs", "tried", "gallery"):
            continue  # of one fold's test samples, or choices of one fold
        if all(isinstance(value, dict) for value in values):
            kept[key] = _merged(values, weights)
        elif any(isinstance(value, bool | str | list) for value in values):
            kept |= {key: values[0]} if all(value == values[0] for value in values) else {}
        else:
            known = [(w, v) for w, v in zip(weights, values, strict=True) if v is not None]
            total = sum(w for w, _ in known)
            kept[key] = round(float(sum(w * v for w, v in known) / total), 3) if known else None
    return kept

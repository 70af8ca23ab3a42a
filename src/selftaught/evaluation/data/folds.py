"""Test parts of labelled data that have none of their own: a stratified share, or every sample once."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.data.store.samples import Samples, groups_of
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.targets import Targets, deal_folds, deal_groups

SMALL = 2000
"""Labelled samples below which a fifth is the test part, a tenth from there on."""
FOLDS, FOLDED_BELOW = 5, 500
"""Parts of a cross-validation, and the labelled samples below which it is the default."""


def usual_share(count: int) -> float:
    """The share of so many labelled samples that is their test part."""
    return 0.2 if count < SMALL else 0.1


def held_for_test(targets: Targets, share: float, groups: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Which samples (N,) are the test part: the share of each class, drawn once, or about as much of whole groups (N,).

    A class with two samples or more has at least one on either side; one with a single sample is trained on. Where
    samples show several classes, they are dealt by the rarest that they show.
    """
    if groups is not None:
        _check_groups(groups)
        return np.asarray(deal_groups(targets, groups, max(2, round(1 / share)), 0) == 0)
    shows = targets == 1
    if (shows.sum(1) > 1).any():
        return np.asarray(deal_folds(targets, max(2, round(1 / share)), 0) == 0)
    held = np.zeros(len(targets), bool)
    rng = numpy_generator("test part")
    for k in range(targets.shape[1]):
        members = rng.permutation(np.flatnonzero(shows[:, k]))
        held[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    return held


def _check_groups(groups: NDArray[np.int64]) -> None:
    if len(np.unique(groups)) < 2:
        raise ValueError("all labelled samples are of one group (--groups), so none can be tested; give more groups")


def dealt(targets: Targets, folds: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The fold (N,) in which each sample is tested; -1 for the only sample of its class, which is always trained on.

    Groups (N,) are tested whole.
    """
    if groups is not None:
        _check_groups(groups)
        return deal_groups(targets, groups, min(folds, len(np.unique(groups))), 0)
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
    """Samples of which each is tested once, by a probe that learned from the other folds; groups are tested whole."""
    fold = dealt(targets, folds, groups_of(whole))
    parts = [parts_of(whole, targets, fold == k, classes) for k in range(folds) if (fold == k).any()]
    if len(parts) < 2:
        return parts_of(whole, targets, held_for_test(targets, usual_share(len(fold))), classes)
    return dataclasses.replace(parts[0], folds=tuple(parts))

"""Which classes each sample shows, as one-against-the-rest classifiers take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator

Targets = NDArray[np.int8]
"""(N, K): 1 where the sample shows the class, 0 where not, -1 where it counts neither for nor against it."""


def deal_groups(targets: Targets, groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold (N,) of each sample, so that whole groups (N,) are dealt and every class is spread evenly.

    From the largest group to the smallest, each goes to the fold that has least of the classes it shows, in shares of
    each class.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    shown = np.zeros((numbers.max() + 1, targets.shape[1]))
    np.add.at(shown, numbers, (targets == 1) / np.maximum(1, (targets == 1).sum(0)))
    sizes = np.bincount(numbers)
    order = numpy_generator(seed, "folds").permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    held, count = np.zeros((folds, targets.shape[1])), np.zeros(folds)
    fold_of = np.empty(len(sizes), np.int64)
    for group in order:
        fold = int(np.lexsort((count, held @ shown[group]))[0])
        fold_of[group] = fold
        held[fold] += shown[group]
        count[fold] += sizes[group]
    return fold_of[numbers]


def deal_folds(targets: Targets, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold (N,) of each sample, 0 ... folds - 1, so that every class is spread evenly over them.

    Samples are shuffled, ordered by the rarest class that they show and dealt in turn.
    """
    shows = targets == 1
    rarity = np.where(shows, shows.sum(0), len(targets) + 1)
    rarest = np.where(shows.any(1), rarity.argmin(1), -1)
    order = numpy_generator(seed, "folds").permutation(len(targets))
    order = order[np.argsort(rarest[order], kind="stable")]
    fold = np.empty(len(targets), np.int64)
    fold[order] = np.arange(len(targets)) % folds
    return fold

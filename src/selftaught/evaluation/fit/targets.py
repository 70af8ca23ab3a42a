"""Which classes each sample shows, as one-against-the-rest classifiers take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator

Targets = NDArray[np.int8]
"""(N, K): 1 where the sample shows the class, 0 where not, -1 where it counts neither for nor against it."""


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

"""How samples of several classes are dealt into folds."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.fit.targets import deal_folds


def test_folds_spread_every_class() -> None:
    labels = np.array([0] * 30 + [1] * 9 + [2] * 3)
    targets = (labels[:, None] == np.arange(3)).astype(np.int8)
    fold = deal_folds(targets, 3, seed=0)
    for label, count in ((0, 10), (1, 3), (2, 1)):
        assert np.bincount(fold[labels == label], minlength=3).tolist() == [count] * 3
    assert not np.array_equal(fold, deal_folds(targets, 3, seed=1))

"""Which training samples only choose hyper-parameters."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.evaluation.fit.held_back import held_back


@pytest.mark.parametrize(("count", "share"), [(1999, 0.2), (2000, 0.1), (20_000, 0.1)])
def test_a_fifth_of_few_and_a_tenth_of_many(count: int, share: float) -> None:
    held = held_back(count, 0)
    assert held.mean() == pytest.approx(share, abs=0.03)
    assert np.array_equal(held, held_back(count, 0))
    assert not np.array_equal(held, held_back(count, 1))


def test_never_all_are_held_back() -> None:
    assert all(not held_back(1, seed).any() for seed in range(50))
    assert all(not held_back(count, seed).all() for count in (2, 3) for seed in range(200))

"""Permutations that are far from each other."""

from __future__ import annotations

import pytest
import torch

from selftaught.tasks.parts.permutations import coherent_permutation_set, hamming_distances, permutation_set


def off_diagonal(permutations: torch.Tensor) -> torch.Tensor:
    distances = hamming_distances(permutations)
    return distances[~torch.eye(len(distances), dtype=torch.bool)]


def test_distances_against_loops() -> None:
    some = permutation_set(5)
    for i, first in enumerate(some.tolist()):
        for j, second in enumerate(some.tolist()):
            differ = sum(a != b for a, b in zip(first, second, strict=True))
            assert int(hamming_distances(some)[i, j]) == differ


def test_all_are_permutations_and_none_comes_twice() -> None:
    found = permutation_set(24, places=4)
    assert len({tuple(p) for p in found.tolist()}) == 24
    assert (permutation_set(100).sort(1).values == torch.arange(9)).all()
    with pytest.raises(ValueError, match="24 permutations of 4 things, got a wish for 25"):
        permutation_set(25, places=4)


def test_the_set_is_greedy_and_always_the_same() -> None:
    permutation_set.cache_clear()
    small = permutation_set(12, places=4)
    permutation_set.cache_clear()
    assert torch.equal(small, permutation_set(12, places=4))
    every = torch.cartesian_prod(*[torch.arange(4)] * 4)
    every = every[(every.sort(1).values == torch.arange(4)).all(1)]
    for i in range(1, 12):
        to_all = (every[:, None] != small[None, :i]).sum(2)
        mine = (small[i] != small[:i]).sum(1)
        best = max((int(d.min()), int(d.sum())) for d in to_all)
        assert (int(mine.min()), int(mine.sum())) == best


@pytest.mark.parametrize(("count", "least", "papers_mean"), [(9, 9, 9.0), (100, 6, 8.08), (1000, 5, 8.00)])
def test_distances_against_the_papers_sets(count: int, least: int, papers_mean: float) -> None:
    """The paper's table 4: 100 permutations have mean 8.08 and minimum 2, 1000 have 8.00 and 2.

    Nine of nine places differ everywhere at best: the rows of a Latin square.
    """
    distances = off_diagonal(permutation_set(count))
    assert int(distances.min()) >= least
    assert float(distances.float().mean()) == pytest.approx(papers_mean, abs=0.01)


def test_coherent_permutations_keep_groups_together_and_are_far_from_each_other() -> None:
    found = coherent_permutation_set(60, 3, 4)
    assert (found.sort(1).values == torch.arange(12)).all()
    groups = found.view(60, 3, 4) // 4
    assert torch.equal(groups, groups[:, :, :1].expand_as(groups))
    assert int(groups[:, :, 0].unique(dim=0, return_counts=True)[1].max()) <= 11
    assert int(off_diagonal(found).min()) >= 8
    with pytest.raises(ValueError, match="8 permutations of 2 groups of 2 things, got a wish for 9"):
        coherent_permutation_set(9, 2, 2)

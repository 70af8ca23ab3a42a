"""Sets of permutations with large Hamming distances, and matrices of permutations."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.randomness import numpy_generator


@cache
def permutation_set(count: int, places: int = 9) -> Tensor:
    """`count` permutations of `places` things, chosen greedily: (count, places) int64, the same in every run.

    As in algorithm 1 of Noroozi and Favaro (ECCV 2016), each is the one farthest from those before it. There, the mean
    distance decides; here, the smallest one, and the mean among equals, so that no two permutations are nearly the
    same. Up to 9 of 9 places differ from each other everywhere; no set of more can.
    """
    every = np.array(list(itertools.permutations(range(places))), dtype=np.uint8)
    if not 1 <= count <= len(every):
        raise ValueError(f"there are {len(every)} permutations of {places} things, got a wish for {count}")
    return _farthest(every, count)


@cache
def coherent_permutation_set(count: int, groups: int, cells: int) -> Tensor:
    """As `permutation_set`, of `groups` x `cells` things of which those of a group stay side by side.

    The groups are permuted, and the things within each: the spatial coherence of Ahsan, Madhok and Essa (WACV 2019),
    whose groups are frames. (count, groups x cells) int64; thing c of group g has number g x `cells` + c.
    """
    within = np.array(list(itertools.permutations(range(cells))), dtype=np.uint8)
    chosen = np.stack(np.meshgrid(*[np.arange(len(within))] * groups, indexing="ij"), -1).reshape(-1, groups)
    every = np.concatenate(
        [
            (within[chosen] + cells * np.array(order, dtype=np.uint8)[:, None]).reshape(len(chosen), -1)
            for order in itertools.permutations(range(groups))
        ]
    )
    if not 1 <= count <= len(every):
        raise ValueError(
            f"there are {len(every)} permutations of {groups} groups of {cells} things, got a wish for {count}"
        )
    return _farthest(every, count)


def hamming_distances(permutations: Tensor) -> Tensor:
    """Number of places in which each two of (K, P) differ: (K, K) int64, 0 on the diagonal."""
    return (permutations[:, None] != permutations[None]).sum(2)


def sinkhorn(logits: Tensor, rounds: int) -> Tensor:
    """Log of nearly doubly stochastic matrices: (..., P, P) logits, normalised over rows, then columns, in turns.

    Sinkhorn and Knopp 1967, in logarithms; columns sum to 1 exactly, rows with enough `rounds`.
    """
    for _ in range(rounds):
        logits = logits.log_softmax(-1).log_softmax(-2)
    return logits


def nearest_permutation(scores: Tensor) -> Tensor:
    """The permutation (P,) int64 with the largest sum of scores (P, P) at its entries [j, p[j]]."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(scores.cpu().numpy(), maximize=True)
    return torch.from_numpy(columns).to(scores.device)


def _farthest(every: NDArray[np.uint8], count: int) -> Tensor:
    """`count` of the permutations (M, P), each the farthest from those before it: (count, P) int64."""
    places = every.shape[1]
    # In an order without a pattern, as the first of equals is taken.
    every = every[numpy_generator("permutations", places).permutation(len(every))]
    columns = np.ascontiguousarray(every.T)
    nearest = np.full(len(every), places + 1, dtype=np.uint8)
    total = np.zeros(len(every), dtype=np.int32)
    chosen = [0]
    while len(chosen) < count:
        distance = np.zeros(len(every), dtype=np.uint8)
        for column, value in zip(columns, every[chosen[-1]], strict=True):
            distance += column != value
        np.minimum(nearest, distance, out=nearest)
        total += distance
        candidates = np.flatnonzero(nearest == nearest.max())
        chosen.append(int(candidates[total[candidates].argmax()]))
    return torch.from_numpy(every[chosen].astype(np.int64))

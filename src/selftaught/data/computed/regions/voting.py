"""Non-local consensus voting (Faktor and Irani, BMVC 2014): like regions of a whole shot come to agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


def transitions(described: Sequence[NDArray[np.float32]], *, reach: int, neighbours: int, variance: float) -> csr_array:
    """Rows that sum to 1: what each region of a shot takes of the votes of those that are like it.

    Each region has the `neighbours` * (2 `reach` + 1) nearest of all regions of the frames within `reach`, itself with
    weight 1, the others with exp(-d^2 / `variance`) for descriptors at a distance d.

    Args:
        described: (K, D) of the regions of each frame.
    """
    start = np.concatenate([[0], np.cumsum([len(one) for one in described])])
    rows, columns, weights = [], [], []
    for frame, own in enumerate(described):
        first, beyond = max(0, frame - reach), min(len(described), frame + reach + 1)
        others = np.concatenate(list(described[first:beyond]))
        squared = np.square(own).sum(1)[:, None] + np.square(others).sum(1) - 2 * own @ others.T
        itself = np.arange(start[frame], start[frame + 1])
        squared[np.arange(len(own)), itself - start[first]] = -1.0  # nearest, whatever rounding did
        count = min(neighbours * (2 * reach + 1), len(others))
        nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
        rows.append(np.repeat(itself, count))
        columns.append(nearest.reshape(-1) + start[first])
        weights.append(np.exp(-np.take_along_axis(squared, nearest, 1).clip(min=0) / variance).reshape(-1))
    places = (np.concatenate(rows), np.concatenate(columns))
    table = csr_array((np.concatenate(weights), places), shape=(start[-1], start[-1]))
    return csr_array(table.multiply(1 / table.sum(1)[:, None]))


def voted(votes: NDArray[np.float32], table: csr_array, counts: Sequence[int], *, rounds: int) -> NDArray[np.float64]:
    """Votes (R,) of all regions of a shot after `rounds` of exchange; those of each frame have the largest 1, or are 0.

    Args:
        votes: (R,) at least 0.
        table: (R, R) of `transitions`.
        counts: regions of each frame, R together.
    """
    found = votes.astype(np.float64)
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for _ in range(rounds):
        found = table @ found
        most = np.maximum.reduceat(found, start)
        found = found / np.repeat(np.where(most > 0, most, 1), counts)
    return np.asarray(found)

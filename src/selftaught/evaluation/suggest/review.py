"""What to look at again: near duplicates, outliers and likely label errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftaught.features.neighbours import Neighbours

NEAR = 10
"""Neighbours by which duplicates are sought and outliers are measured."""
ALIKE = 0.95
"""Correlation of two thumbnails from which they are near duplicates."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two samples that look alike: rows, and the correlation of their thumbnails."""

    first: int
    second: int
    similarity: float


def near_duplicates(
    vectors: NDArray[np.float32], thumbnails: NDArray[np.float32], *, least: float = ALIKE
) -> list[Pair]:
    """Pairs of samples that are near in features (N, D) and whose thumbnails (N, d) correlate, the most alike first.

    Features alone would call images of one scene duplicates; thumbnails alone are too many to compare.
    """
    centred = thumbnails - thumbnails.mean(1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    near = _neighbours(vectors)[1]
    pairs = np.unique(np.sort(np.stack([np.arange(len(near)).repeat(near.shape[1]), near.reshape(-1)], 1), 1), axis=0)
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])]
    alike = np.einsum("nd,nd->n", centred[pairs[:, 0]], centred[pairs[:, 1]])
    order = np.argsort(-alike, kind="stable")
    return [
        Pair(first=int(pairs[i, 0]), second=int(pairs[i, 1]), similarity=float(alike[i]))
        for i in order if alike[i] >= least
    ]  # fmt: skip


def outliers(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows (count,) that are farthest from their 10 nearest neighbours, and by how much (count,), the farthest first.

    The distance is 1 - cosine, as a mean (Ramaswamy, Rastogi & Shim, SIGMOD 2000, have that to the k-th).
    """
    cosines, near = _neighbours(vectors)
    distance = 1 - np.where(near >= 0, cosines, 0).sum(1) / np.maximum(1, (near >= 0).sum(1))
    order = np.argsort(-distance, kind="stable")[:count]
    return order, distance[order].astype(np.float64)


def label_errors(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that are probably labelled wrongly, the most suspicious first (confident learning: Northcutt et al. 2021).

    A sample counts as of class j where its probability of j is at least t_j, the mean probability of j over the samples
    labelled j, and j is the most probable of such classes. Those that count as of another class than their label are
    errors (the confident joint off its diagonal), the least probable label first: of a tenth of labels that were
    exchanged, more are then at the top than by the margin to the other class (see `benchmarks/label_errors.py`).

    Args:
        probabilities: (M, K) by a model that did not learn from the sample.
        labels: (M,) as given.
    """
    classes = probabilities.shape[1]
    least = np.array([probabilities[labels == j, j].mean() if (labels == j).any() else np.inf for j in range(classes)])
    confident = np.where(probabilities >= least, probabilities, -np.inf)
    found = np.where(np.isfinite(confident).any(1), confident.argmax(1), labels)
    rows = np.flatnonzero(found != labels)
    return rows[np.argsort(probabilities[rows, labels[rows]], kind="stable")]


def _neighbours(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosine and row of the nearest others of each sample, both (N, k); its own place holds -1."""
    near = min(NEAR, len(vectors) - 1)
    cosines, rows = Neighbours(vectors).search(vectors, near + 1)
    own = rows == np.arange(len(vectors))[:, None]
    # Of samples that are equal, another may come first: the last place goes instead.
    own[~own.any(1), -1] = True
    keep = ~own
    return cosines[keep].reshape(len(vectors), near), rows[keep].reshape(len(vectors), near)

"""Which samples to label next, from their features: those that cover the data, or that are typical of its parts."""

from __future__ import annotations

from typing import Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator, seed_from
from selftaught.features.neighbours import Neighbours, unit_length

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Way = Literal["typical", "k_centre"]

NEAR = 20
"""Neighbours that typicality is the density of (Hacohen et al. 2022)."""
MOST_CLUSTERS = 500
"""As in the same paper."""
LEAST_CLUSTER = 5
"""Samples below which a cluster is not asked for one."""


def choose(vectors: Vectors, count: int, *, way: Way = "typical", known: Rows | None = None, seed: int = 0) -> Rows:
    """Rows (count,) of the samples (N, D) to label next, the most wanted first; `known` (K,) are labelled already."""
    known = np.zeros(0, np.int64) if known is None else known
    count = min(count, len(vectors) - len(known))
    chosen = k_centre(vectors, count, known) if way == "k_centre" else typical(vectors, count, known, seed)
    return chosen


def k_centre(vectors: Vectors, count: int, known: Rows) -> Rows:
    """Greedy k-centre (Sener & Savarese, ICLR 2018): each time the sample that is farthest from all that are known.

    Distances are of directions. Without a known sample, the first is the one nearest to the mean.
    """
    unit = unit_length(vectors)
    chosen: list[int] = []
    if len(known):
        nearest = np.full(len(unit), -np.inf, np.float32)
        for row in known:
            nearest = np.maximum(nearest, unit @ unit[row])
    elif count:
        chosen = [int((unit @ unit.mean(0)).argmax())]
        nearest = unit @ unit[chosen[0]]
    while len(chosen) < count:
        nearest[known] = nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
    return np.array(chosen, np.int64)


def typical(vectors: Vectors, count: int, known: Rows, seed: int = 0) -> Rows:
    """Typical samples of clusters without a label (TypiClust: Hacohen, Dekel & Weinshall, ICML 2022).

    The samples are clustered into as many parts as there will be labels, at most 500. Each time a part with the fewest
    labels gives one, the largest of them first: the sample whose 20 nearest neighbours in the part are nearest. Parts
    of fewer than 5 samples are asked when no other is left.
    """
    if not count:
        return np.zeros(0, np.int64)
    unit = unit_length(vectors)
    part = _clusters(unit, min(len(known) + count, MOST_CLUSTERS, len(unit)), seed)
    parts = int(part.max()) + 1
    sizes, labels = np.bincount(part, minlength=parts), np.bincount(part[known], minlength=parts)
    is_known = np.zeros(len(unit), bool)
    is_known[known] = True
    queues = {k: _most_typical(unit, np.flatnonzero(part == k), is_known) for k in range(parts)}
    chosen: list[int] = []
    while len(chosen) < count:
        open_parts = [k for k, queue in queues.items() if queue]
        k = min(open_parts, key=lambda k: (sizes[k] < LEAST_CLUSTER, labels[k], -sizes[k]))
        chosen.append(queues[k].pop(0))
        labels[k] += 1
    return np.array(chosen, np.int64)


def uncertain(probabilities: NDArray[np.float64], count: int) -> Rows:
    """Rows (count,) with the smallest margin between the two most probable classes (M, K), the smallest first."""
    return np.argsort(margins(probabilities), kind="stable")[:count]


def margins(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) how much more probable the most probable class is than the second (Scheffer, Decomain & Wrobel 2001)."""
    first_two = np.sort(probabilities, axis=1)[:, -2:]
    return np.asarray(first_two[:, 1] - first_two[:, 0])


def _clusters(unit: Vectors, count: int, seed: int) -> Rows:
    """The part (N,) of each sample by k-means."""
    if count >= len(unit):
        return np.arange(len(unit))
    settings = {"niter": 20, "seed": seed_from("clusters", seed) % 2**31, "min_points_per_centroid": 1}
    # Faiss samples 256 vectors for each centroid, by its seed; that many are enough.
    means = faiss.Kmeans(unit.shape[1], count, **settings)
    order = numpy_generator(seed, "clusters").permutation(len(unit))
    means.train(unit[order])
    found: Rows = means.index.search(unit, 1)[1][:, 0].astype(np.int64)
    return found


def _most_typical(unit: Vectors, members: Rows, is_known: NDArray[np.bool_]) -> list[int]:
    """Members that are not known, the most typical first: by the mean distance to their neighbours in the part."""
    if len(members) < 2:
        return [int(row) for row in members if not is_known[row]]
    near = min(NEAR, len(members) - 1)
    cosines, _ = Neighbours(unit[members]).search(unit[members], near + 1)
    distance = np.sqrt(np.maximum(0, 2 - 2 * cosines[:, 1:])).mean(1)
    return [int(members[i]) for i in np.argsort(distance, kind="stable") if not is_known[members[i]]]

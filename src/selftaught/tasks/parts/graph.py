"""A graph of nearest neighbours: pairs of points on a short cycle, and distances along the edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor


def nearest_neighbours(points: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest other points of each, and the Euclidean distances to them: points (M, D) -> two (M, k)."""
    import faiss

    rows = points.float().contiguous().cpu().numpy()
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    squared, found = index.search(rows, k + 1)
    # A point need not be the first of its own neighbours where others are the same: it goes last, and is cut off.
    is_itself = found == np.arange(len(rows))[:, None]
    others = np.argsort(is_itself, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, others, 1), np.sqrt(np.take_along_axis(squared, others, 1).clip(0))


def cycle_pairs(neighbours: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Pairs of points that are on a directed cycle of 2 to `longest` (at most 4) different points.

    Args:
        neighbours: (M, k), an edge leads from a point to each of its neighbours.

    Returns:
        (P, 2), the smaller number first, each pair once.
    """
    count, k = neighbours.shape
    step = csr_array(
        (np.ones(count * k, np.int64), (np.repeat(np.arange(count), k), neighbours.flatten())), (count, count)
    )
    walks = {1: step, 2: step @ step}
    if longest == 4:
        walks[3] = walks[2] @ step
    found = csr_array((count, count), dtype=np.int64)
    for length in range(2, longest + 1):
        for there in range(1, length // 2 + 1):
            back = length - there
            closed = walks[there] * walks[back].T
            if there == back == 2:
                # From a to b and home through the same point is no cycle of four.
                mutual = step * step.T
                closed = closed - mutual @ mutual
            # Longer walks that pass a point twice need a and b to be a cycle of two, which is found already.
            found = found + closed
    found = (found + found.T).tocoo()
    first, second = found.coords
    kept = (found.data > 0) & (first < second)
    return np.stack([first[kept], second[kept]], 1).astype(np.int64)


def geodesic_distances(
    neighbours: NDArray[np.int64], distances: NDArray[np.float32], sources: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Length of the shortest path along edges, in either direction, from each source to each point, (A, M).

    Infinite where there is no path.
    """
    count, k = neighbours.shape
    # An edge of length 0 would be no edge in a sparse matrix.
    lengths = distances.astype(np.float64).flatten().clip(1e-9)
    # SciPy before 1.15 takes numbers of rows of 32 bits only.
    ends = np.repeat(np.arange(count, dtype=np.int32), k), neighbours.flatten().astype(np.int32)
    graph = csr_array((lengths, ends), (count, count))
    found: NDArray[np.float64] = dijkstra(graph, directed=False, indices=sources)
    return found


def same_class(pairs: Tensor, labels: Tensor) -> float:
    """Share of the pairs (P, 2) of rows of `labels` that have the same class; pairs without labels do not count."""
    first, second = labels[pairs[:, 0]], labels[pairs[:, 1]]
    known = (first >= 0) & (second >= 0)
    return float((first == second)[known].float().mean()) if bool(known.any()) else float("nan")

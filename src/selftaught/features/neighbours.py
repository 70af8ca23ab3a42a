"""The most similar of many vectors by cosine, with an index of faiss that suits their number."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import seed_from

IndexKind = Literal["auto", "exact", "ivf"]
EXACT_UP_TO = 100_000
"""Vectors that are all compared with every query unless an index is asked for."""
PROBED = 32
"""Lists of an inverted file that are searched for a query."""
TRAINING_VECTORS = 64
"""Vectors for each list that its k-means sees."""


class Neighbours:
    """Vectors that can be asked for the most similar to others; `index` is faiss's.

    "exact" compares all of them. "ivf", for many, sorts them into 4 sqrt(N) lists around centroids of k-means and
    compares those of the 32 lists nearest to the query (an inverted file: Sivic & Zisserman, ICCV 2003; Johnson,
    Douze & Jégou, Billion-scale similarity search with GPUs, 2017).

    Args:
        vectors: (N, D) float32.
        kind: "auto" is exact up to 100,000 vectors.
    """

    def __init__(self, vectors: NDArray[np.float32], kind: IndexKind = "auto", seed: int = 0) -> None:
        self.kind = ("exact" if len(vectors) <= EXACT_UP_TO else "ivf") if kind == "auto" else kind
        unit = unit_length(vectors)
        self.index = _exact(unit) if self.kind == "exact" else _inverted_file(unit, seed)

    def search(self, asked: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosine and row of the k vectors most similar to each of (M, D), both (M, k), the most similar first.

        A row is -1 where the lists that were searched hold fewer.
        """
        cosines, rows = self.index.search(unit_length(asked), k)
        return cosines, rows


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (N, D) divided by their length; one of length 0 stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(length, 1e-12), np.float32)


def _exact(unit: NDArray[np.float32]) -> Any:
    import faiss

    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    return index


def _inverted_file(unit: NDArray[np.float32], seed: int) -> Any:
    import faiss

    lists = min(int(4 * math.sqrt(len(unit))), len(unit))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(unit.shape[1]), unit.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed_from("inverted file", seed) % 2**31
    index.cp.min_points_per_centroid = 1
    index.cp.max_points_per_centroid = TRAINING_VECTORS
    index.train(unit)
    index.add(unit)
    index.nprobe = PROBED
    return index

"""How well nearest neighbours agree with their query's class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftaught.features.neighbours import Neighbours

RANKS = (1, 5, 10)
"""k of Recall@k, unless others are asked for."""
RESULTS = 2**24
"""Queries x ranked samples that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """Queries among samples of known class.

    Attributes:
        queries: (Q,) rows of the vectors that ask; one without a sample of its class to be found is never right.
        query_labels: (M,) classes of all vectors that could ask.
        sample_labels: (N,) classes of the samples that are searched.
        leave_one_out: query i is sample i, and does not find itself.
        depth: nearest samples that count for average precision.
        listed: nearest samples that are handed back.
        ranks: k of Recall@k.
    """

    queries: NDArray[np.int64]
    query_labels: NDArray[np.int64]
    sample_labels: NDArray[np.int64]
    leave_one_out: bool
    depth: int
    listed: int
    ranks: tuple[int, ...] = RANKS


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the queries get.

    Attributes:
        recall: {k: (Q,)} 100 where one of the k nearest samples is of the query's class, else 0.
        precision: (Q,) average precision in percent: the mean, over the samples of the class that could be found
            among the `depth` nearest, of the share of right samples down to each; 0 for one that was not.
        rows: (Q, listed) the nearest samples, -1 where an index gave fewer.
        cosines: (Q, listed) of the same.
    """

    recall: dict[int, NDArray[np.float32]]
    precision: NDArray[np.float32]
    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]


def count_alike(
    query_labels: NDArray[np.int64], sample_labels: NDArray[np.int64], *, leave_one_out: bool
) -> NDArray[np.int64]:
    """Samples of the query's class that each query (M,) could find."""
    counts = np.bincount(sample_labels, minlength=int(query_labels.max()) + 1)
    return np.asarray(counts[query_labels] - int(leave_one_out))


def search_classes(search: Search, neighbours: Neighbours, asking: NDArray[np.floating]) -> Found:
    """Ask `neighbours`, which hold the samples, for those most similar to the queries among `asking` (M, D)."""
    own = int(search.leave_one_out)
    count = len(search.sample_labels) - own
    depth = min(search.depth, count)
    listed = min(search.listed, count)
    wanted = min(max(depth, listed, *search.ranks), count)
    alike = count_alike(search.query_labels, search.sample_labels, leave_one_out=search.leave_one_out)
    parts = []
    for start in range(0, len(search.queries), max(1, RESULTS // wanted)):
        queries = search.queries[start : start + max(1, RESULTS // wanted)]
        cosines, rows = neighbours.search(asking[queries].astype(np.float32), wanted + own)
        if own:
            cosines, rows = _without(queries, cosines, rows)
        right = (search.sample_labels[rows] == search.query_labels[queries, None]) & (rows >= 0)
        shares = np.cumsum(right[:, :depth], axis=1) / np.arange(1, depth + 1)
        precision = (shares * right[:, :depth]).sum(1) / np.clip(alike[queries], 1, depth)
        recall = [right[:, :k].any(1) for k in search.ranks]
        parts.append((np.stack(recall), precision, rows[:, :listed], cosines[:, :listed]))
    recalls = 100 * np.concatenate([part[0] for part in parts], axis=1).astype(np.float32)
    return Found(
        recall=dict(zip(search.ranks, recalls, strict=True)),
        precision=100 * np.concatenate([part[1] for part in parts]).astype(np.float32),
        rows=np.concatenate([part[2] for part in parts]),
        cosines=np.concatenate([part[3] for part in parts]),
    )


def _without(
    own: NDArray[np.int64], cosines: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The results (Q, k + 1) without the query itself, or without the last where it was not among them: (Q, k)."""
    kept = rows != own[:, None]
    kept[kept.all(1), -1] = False
    return cosines[kept].reshape(len(rows), -1), rows[kept].reshape(len(rows), -1)

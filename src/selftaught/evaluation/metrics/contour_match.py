"""How well contours fit those that people drew, as the Berkeley benchmark defines it (Martin et al., PAMI 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

TOLERANCE = 0.0075
"""Of the diagonal of the image, within which pixels of contours match."""
THRESHOLDS = 99
UNMATCHED = 100.0
"""Cost of a pixel that stays alone, in units of the tolerance: more pairs are always better than nearer ones."""
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
"""(images, thresholds, 4): contour pixels that people drew and that were found, all that they drew, over all of them;
found pixels that any of them drew, all found."""


@dataclass(frozen=True, kw_only=True)
class ContourScore:
    """F measures in [0, 1], and the curve they are from.

    Attributes:
        ods: the best F of one threshold for all images.
        ois: F where each image has its own best threshold.
        ap: mean precision over recalls from 0 to 1, 0 at those that are not reached.
        threshold: of `ods`.
        precision, recall: (thresholds,) over all images.
    """

    ods: float
    ois: float
    ap: float
    threshold: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def thresholds_of(count: int = THRESHOLDS) -> NDArray[np.float64]:
    """`count` thresholds evenly spread inside (0, 1)."""
    return np.arange(1, count + 1) / (count + 1)


def count_matches(
    edges: NDArray[np.floating], drawn: Mask, thresholds: NDArray[np.float64], tolerance: float = TOLERANCE
) -> Counts:
    """Counts (thresholds, 4) of one image, as of `Counts`.

    Args:
        edges: (H, W) in [0, 1]; thinned to lines after each threshold.
        drawn: (A, H, W), the contours of each of A people, lines one pixel wide.
        thresholds: (K,) above 0; an edge is what is at least as strong.
        tolerance: share of the diagonal.
    """
    reach = tolerance * float(np.hypot(*edges.shape))
    trees = [cKDTree(np.argwhere(one)) for one in drawn]
    total = int(drawn.sum())
    counts = np.zeros((len(thresholds), 4), np.int64)
    before: Mask | None = None
    for k, threshold in enumerate(thresholds):
        found = thinned(edges >= threshold)
        if before is not None and np.array_equal(found, before):  # few distinct values, such as of Canny
            counts[k] = counts[k - 1]
            continue
        before = found
        points = np.argwhere(found)
        right = np.zeros(len(points), np.bool_)
        matched = 0
        for tree in trees:
            rows = matches(points, tree, reach)
            right[rows] = True
            matched += len(rows)
        counts[k] = matched, total, right.sum(), len(points)
    return counts


def matches(points: NDArray[np.int64], tree: cKDTree, reach: float) -> NDArray[np.int64]:
    """Rows of `points` (P, 2) that have a partner among the points of `tree`, one each, within `reach` pixels.

    The assignment has as many pairs as there can be and, among those, the least sum of distances.
    """
    if not len(points) or not tree.n:
        return np.empty(0, np.int64)
    pairs = cKDTree(points).sparse_distance_matrix(tree, reach, output_type="ndarray")
    rows, columns = pairs["i"], pairs["j"]
    able = np.unique(rows)
    place = np.searchsorted(able, rows)
    # Every point may stay alone: it has a column of its own. Costs must not be 0, which would be no edge.
    alone = np.arange(len(able))
    costs = np.concatenate([pairs["v"] + 1e-3, np.full(len(able), UNMATCHED * reach)])
    graph = coo_matrix(
        (costs, (np.concatenate([place, alone]), np.concatenate([columns, tree.n + alone]))),
        shape=(len(able), tree.n + len(able)),
    )
    row, column = min_weight_full_bipartite_matching(graph.tocsr())
    found: NDArray[np.int64] = able[row[column < tree.n]]
    return found


def score_contours(counts: Counts, thresholds: NDArray[np.float64]) -> ContourScore:
    """ODS, OIS and AP from the counts of all images; the best threshold is interpolated as in the benchmark."""
    recall, precision = _shares(counts.sum(0))
    ods, threshold = _best(recall, precision, thresholds)
    own = np.array([_f(*_shares(one)).argmax() for one in counts])
    ois = float(_f(*_shares(counts[np.arange(len(counts)), own].sum(0))))
    known, first = np.unique(recall[::-1], return_index=True)
    at = np.interp(np.linspace(0, 1, 101), known, precision[::-1][first], left=0, right=0)
    return ContourScore(
        ods=ods,
        ois=ois,
        ap=min(1.0, float(at.sum()) / 100),
        threshold=threshold,
        precision=precision,
        recall=recall,
    )


def thinned(mask: Mask) -> Mask:
    """Lines one pixel wide with the connections of `mask` (H, W): parallel thinning of Guo and Hall (CACM 1989)."""
    lines = np.pad(mask, 1).astype(np.uint8)
    while True:
        size = int(lines.sum())
        for removable in _REMOVABLE:
            codes = cv2.filter2D(lines, cv2.CV_8U, _BITS, borderType=cv2.BORDER_CONSTANT)
            lines &= ~removable[codes] & 1
        if int(lines.sum()) == size:
            return lines[1:-1, 1:-1].astype(np.bool_)


def _shares(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision of counts (..., 4); 0 where there is nothing."""
    parts = counts.astype(np.float64)
    return parts[..., 0] / np.maximum(1, parts[..., 1]), parts[..., 2] / np.maximum(1, parts[..., 3])


def _f(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * recall * precision / np.maximum(1e-12, recall + precision)


def _best(
    recall: NDArray[np.float64], precision: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[float, float]:
    """The best F and its threshold, between neighbouring thresholds by linear interpolation."""
    if len(thresholds) == 1:
        return float(_f(recall, precision)[0]), float(thresholds[0])
    share = np.linspace(0, 1, 100)[:, None]
    mixed: Sequence[NDArray[np.float64]] = [
        one[1:] * share + one[:-1] * (1 - share) for one in (recall, precision, thresholds)
    ]
    f = _f(mixed[0], mixed[1])
    place = np.unravel_index(f.argmax(), f.shape)
    return float(f[place]), float(mixed[2][place])


def _tables() -> list[NDArray[np.uint8]]:
    """For each of the two passes: neighbourhood as 8 bits -> 1 where the pixel goes."""
    tables = []
    for is_second in (False, True):
        table = np.zeros(256, np.uint8)
        for code in range(256):
            # Neighbours in turn from the east against the clock.
            x = [(code >> k) & 1 for k in range(8)]
            crossings = sum((not x[2 * i]) and bool(x[2 * i + 1] or x[(2 * i + 2) % 8]) for i in range(4))
            first = sum(x[2 * i] or x[2 * i + 1] for i in range(4))
            second = sum(x[2 * i + 1] or x[(2 * i + 2) % 8] for i in range(4))
            turn = (x[5] or x[6] or not x[3]) and x[4] if is_second else (x[1] or x[2] or not x[7]) and x[0]
            table[code] = crossings == 1 and 2 <= min(first, second) <= 3 and not turn
        tables.append(table)
    return tables


_BITS = np.array([[8, 4, 2], [16, 0, 1], [32, 64, 128]], np.float32)
_REMOVABLE = _tables()

"""Which regions of a single frame stand out, by manifold ranking (Yang et al., CVPR 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.regions.superpixels import lab_of, region_means

_ALPHA, _WIDTH = 0.99, 0.1
"""Of ranking: the share that comes from neighbours, and the squared width of likeness in Lab of [0, 1]."""


def appearance_saliency(frame: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Saliency in [0, 1] of each superpixel (K,) of a frame (H, W, 3) with labels (H, W).

    Regions are ranked by their likeness to those along each edge of the frame, passed on from neighbour to neighbour:
    salient is what is unlike all four. The salient half of them are then the queries of a second ranking.
    """
    count = int(labels.max()) + 1
    lab = region_means(lab_of(frame).reshape(-1, 3), labels, count)
    ranking = _ranking(lab / np.array([100, 255, 255]), _neighbours(labels, count))
    salient = np.ones(count)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        query = np.zeros(count)
        query[edge] = 1
        salient *= 1 - _unit(ranking @ query)
    return _unit(ranking @ (salient >= salient.mean())).astype(np.float32)


def _neighbours(labels: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """(K, K) whether two regions touch, have a neighbour in common, or are both at the edge of the frame."""
    touch = np.eye(count, dtype=bool)
    for first, second in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touch[first, second] = touch[second, first] = True
    near = (touch.astype(np.float32) @ touch.astype(np.float32)) > 0
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    near[np.ix_(edge, edge)] = True
    np.fill_diagonal(near, False)
    return np.asarray(near)


def _ranking(lab: NDArray[np.floating], near: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(K, K): times a query it is the rank of each region, (D - alpha W)^-1 without the part a query has of itself."""
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    weights = np.where(near, np.exp(-apart / _WIDTH), 0.0)
    # A region alone in its frame has no neighbours, and the matrix would have no inverse.
    found = np.linalg.inv(np.diag(weights.sum(1) + 1e-9) - _ALPHA * weights)
    np.fill_diagonal(found, 0)
    return np.asarray(found)


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values from 0 to 1; 0 where all are equal."""
    spread = values.max() - values.min()
    return np.asarray((values - values.min()) / (spread if spread > 0 else 1.0))

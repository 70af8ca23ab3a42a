"""The ranking loss over patches of videos, with random or hard negatives (Wang, Gupta, ICCV 2015, section 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.distributed import first_row, gather_rows
from selftaught.tasks.parts.losses import weighted_mean


def cosine_distances(query: Tensor, others: Tensor) -> Tensor:
    """1 - cosine: (N, E), (M, E) -> (N, M) float32, in [0, 2]."""
    return 1 - F.normalize(query.float(), dim=1) @ F.normalize(others.float(), dim=1).T


def ranking_loss(
    query: Tensor, positive: Tensor, others: Tensor, is_own: Tensor, *, count: int, margin: float, drawn: Tensor | None
) -> Tensor:
    """max(0, D(query, positive) - D(query, negative) + margin), D the cosine distance, a mean over K negatives: (N,).

    Where a query has no negative, its loss is D(query, positive).

    Args:
        query: (N, E).
        positive: (N, E), of the same thing.
        others: (M, E), among which are negatives.
        is_own: (N, M) bool, the others that are no negatives of a query; as many for each.
        count: K, of which there may be fewer.
        margin: between positive and negative.
        drawn: (N, K) in [0, 1), which negatives are taken at random; None takes the K nearest, those that break the
            margin most.
    """
    near = 1 - F.cosine_similarity(query.float(), positive.float(), dim=1)
    negatives = int(is_own.shape[1] - is_own[0].sum())
    if not negatives:
        return near
    distances = cosine_distances(query, others)
    if drawn is None:
        far = distances.masked_fill(is_own, float("inf")).topk(min(count, negatives), dim=1, largest=False).values
    else:
        possible = is_own.int().argsort(dim=1, stable=True)[:, :negatives]
        far = distances.gather(1, possible.gather(1, (drawn * negatives).long()))
    return F.relu(near[:, None] - far + margin).mean(1)


def own_group(rows: Tensor, size: int) -> Tensor:
    """Which rows of all processes are of the same group of `size` neighbouring rows: (N, ...) -> (N, world N) bool."""
    total = gather_rows(rows).shape[0]
    own = torch.arange(rows.shape[0], device=rows.device) + first_row(rows)
    return own[:, None] // size == torch.arange(total, device=rows.device) // size


def found_among(query: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """Share of queries (N, E) to which their own row of `others` (N, E) of all processes is the nearest.

    Only queries with a weight (N,) of 1 count; chance is 1 / world N.
    """
    distances = cosine_distances(query.detach(), gather_rows(others.detach()))
    right = distances.argmin(1) == torch.arange(len(query), device=query.device) + first_row(query)
    return weighted_mean(right.float(), weights)

"""Masks carried from frame to frame by the similarity of features (Vondrick et al., ECCV 2018; Jabri et al. 2020)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

SIMILARITIES = 2**26
"""Cosines that are held at once."""


def propagate(query: Tensor, keys: Tensor, masks: Tensor, *, radius: int, k: int, temperature: float) -> Tensor:
    """Masks (K, h, w) of a frame, copied from the reference frames by attention.

    Each position takes the mean of the masks at the `k` positions of all references that are most similar to it,
    weighted by the softmax of cosine / temperature, among those at most `radius` positions away down and across.

    Args:
        query: (C, h, w), features of unit length.
        keys: (R, C, h, w), the same of the references.
        masks: (R, K, h, w), theirs.
    """
    height, width = query.shape[1:]
    known = keys.transpose(0, 1).flatten(1)
    values = masks.transpose(0, 1).flatten(1).T
    places = torch.arange(height * width, device=query.device)
    rows, columns = places // width, places % width
    parts = []
    for chosen in places.split(max(1, SIMILARITIES // known.shape[1])):
        similarity = query.flatten(1).T[chosen] @ known
        is_near = ((rows[chosen, None] - rows).abs() <= radius) & ((columns[chosen, None] - columns).abs() <= radius)
        similarity = similarity.masked_fill(~is_near.repeat(1, len(keys)), -torch.inf)
        best, found = similarity.topk(min(k, similarity.shape[1]), dim=1)
        weights = (best / temperature).softmax(1)
        parts.append((weights[:, :, None] * values[found]).sum(1))
    carried: Tensor = torch.cat(parts).T.unflatten(1, (height, width))
    return carried


def follow(
    features: Iterable[Tensor], first: Tensor, *, references: int, radius: int, k: int, temperature: float
) -> Iterator[Tensor]:
    """Masks of every frame after the first, each from the first frame and the `references` before it.

    Args:
        features: maps (C, h, w) of the frames in order.
        first: masks (K, h, w) of the first frame, which sum to 1 at each position.
    """
    recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=references)
    start: tuple[Tensor, Tensor] | None = None
    for found in features:
        unit = F.normalize(found.float(), dim=0)
        if start is None:
            start = (unit, first)
            continue
        known = [start, *recent]
        keys, masks = (torch.stack(parts) for parts in zip(*known, strict=True))
        mask = propagate(unit, keys, masks, radius=radius, k=k, temperature=temperature)
        recent.append((unit, mask))
        yield mask

"""A class by a vote of nearest neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIMILARITIES = 2**24
"""Cosines that are held at once."""


def vote(known: Tensor, labels: Tensor, asked: Tensor, *, k: int, temperature: float) -> Tensor:
    """Class of each asked row (M, D), see `votes`."""
    return votes(known, labels, asked, k=k, temperature=temperature).argmax(1)


def votes(known: Tensor, labels: Tensor, asked: Tensor, *, k: int, temperature: float) -> Tensor:
    """Votes (M, K) of the k nearest known rows (N, D) by cosine for each asked row (M, D), weighted by exp(cos / T)."""
    known, asked = F.normalize(known, dim=1), F.normalize(asked, dim=1)
    num_classes = int(labels.max()) + 1
    found = []
    for rows in asked.split(max(1, SIMILARITIES // len(known))):
        similarity, nearest = (rows @ known.T).topk(min(k, len(known)), dim=1)
        cast = torch.zeros(len(rows), num_classes, device=rows.device)
        # Weights relative to the nearest: no temperature is so small that they overflow, and no vote changes.
        weights = ((similarity - similarity[:, :1]) / temperature).exp()
        found.append(cast.scatter_add_(1, labels[nearest], weights))
    return torch.cat(found)

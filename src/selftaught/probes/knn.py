"""Nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.probes.base import Labelled, Probe, Score
from selftaught.probes.reader import POOLED, Reader
from selftaught.probes.scores import best_stage


class KNearest(Probe):
    """The class that the most similar training samples vote for, with no training at all (Wu et al., CVPR 2018).

    Votes of the k nearest pooled features by cosine, weighted by exp(cosine / temperature), as in DINO and lightly.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        k: int = 20
        """Neighbours that vote."""
        temperature: float = 0.07
        """T: the smaller, the more the nearest neighbours count."""

        def __post_init__(self) -> None:
            if self.k < 1:
                raise ValueError(f"--probe.k must be at least 1, got {self.k}")
            if self.temperature <= 0:
                raise ValueError(f"--probe.temperature must be above 0, got {self.temperature}")

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy in percent."""
        known, asked = reader.pooled(data.train), reader.pooled(data.test)
        assert data.train.labels is not None
        assert data.test.labels is not None
        labels = torch.from_numpy(data.train.labels)
        predicted = vote(known, labels, asked, k=self.config.k, temperature=self.config.temperature)
        right = (predicted == torch.from_numpy(data.test.labels)).float() * 100
        return best_stage({POOLED: right.numpy()})


def vote(known: Tensor, labels: Tensor, asked: Tensor, *, k: int, temperature: float) -> Tensor:
    """Class of each asked row (M, D): votes of its k nearest known rows (N, D) by cosine, weighted by exp(cos / T)."""
    known, asked = F.normalize(known, dim=1), F.normalize(asked, dim=1)
    num_classes = int(labels.max()) + 1
    predictions = []
    for rows in asked.split(1024):
        similarity, nearest = (rows @ known.T).topk(min(k, len(known)), dim=1)
        votes = torch.zeros(len(rows), num_classes, device=rows.device)
        votes.scatter_add_(1, labels[nearest], (similarity / temperature).exp())
        predictions.append(votes.argmax(1))
    return torch.cat(predictions)

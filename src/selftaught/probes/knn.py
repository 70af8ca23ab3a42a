"""Nearest neighbours: the class that the most similar training samples vote for, with no training at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.encode import all_features
from selftaught.probes.linear import Score
from selftaught.probes.stages import Reader
from selftaught.store import Samples

metric = "top1"


def probe(reader: Reader, train: Samples, test: Samples, *, k: int = 20, temperature: float = 0.07) -> Score:
    """Weighted k-NN on pooled features; top-1 accuracy on `test` in percent."""
    known, asked = (
        all_features(
            reader.encoder,
            samples,
            size=reader.size,
            device=reader.device,
            precision=reader.precision,
            batch_size=reader.batch_size,
            clips=reader.clips,
        )
        for samples in (train, test)
    )
    assert train.labels is not None
    assert test.labels is not None
    predicted = vote(known, torch.from_numpy(train.labels), asked, k=k, temperature=temperature)
    value = round(100 * float((predicted == torch.from_numpy(test.labels)).float().mean()), 3)
    return Score(value=value, stage="pooled", stages={"pooled": value})


def vote(known: Tensor, labels: Tensor, asked: Tensor, *, k: int, temperature: float) -> Tensor:
    """Class of each asked row (M, D): votes of its k nearest known rows (N, D) by cosine, weighted by exp(cos / T).

    The classifier of Wu et al. (CVPR 2018, section 3.4), as used by DINO and lightly.
    """
    known, asked = F.normalize(known, dim=1), F.normalize(asked, dim=1)
    num_classes = int(labels.max()) + 1
    predictions = []
    for rows in asked.split(1024):
        similarity, nearest = (rows @ known.T).topk(min(k, len(known)), dim=1)
        votes = torch.zeros(len(rows), num_classes, device=rows.device)
        votes.scatter_add_(1, labels[nearest], (similarity / temperature).exp())
        predictions.append(votes.argmax(1))
    return torch.cat(predictions)

"""A linear layer on all frozen stages where labels are few, else on the best, which no held-back sample chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.data.store.samples import Samples
from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.ridge import LinearClassifier, RidgeProbe
from selftaught.evaluation.fit.softmax_regression import STRENGTHS, softmax_path
from selftaught.evaluation.metrics.calibration import log_loss
from selftaught.evaluation.models.known import Known
from selftaught.evaluation.models.network import ALL_STAGES
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader

FEW = 1000
"""Labels below which a layer is fitted to each stage and their scores are averaged.

With 60 labels of 1,800 photos that is right in 24.5 % of all cases, and the stage that the labels choose in 23 %; with
200 34.5 % and 33.7 %, with 600 42.2 % and 43.1 %; with 500 labels of CIFAR-10 42.6 % and 38.6 %.
"""
DIMS = 2000
"""Features of a stage after pooling."""
ROWS = 4096
"""Rows that are on the device at once while a stage is chosen."""


@dataclass(frozen=True, kw_only=True)
class OnStage:
    """A fitted linear layer.

    Attributes:
        stage: that it reads, or "all".
        accuracy: share in [0, 1] of the fitted samples that ridge regression on the stage predicted from the others; 0
            where no stage was chosen.
    """

    classifier: LinearClassifier
    stage: str
    strength: float
    accuracy: float


class LinearFit:
    """Linear layers on the features of one encoder, which are read once.

    Attributes:
        strength: of the regularisation, as `out_of_fold` chose it.
    """

    def __init__(self, reader: Reader, known: Known, *, seed: int, strengths: Sequence[float] = STRENGTHS) -> None:
        self.reader, self.known, self.seed, self.strengths = reader, known, seed, strengths
        self.strength = strengths[len(strengths) // 2]
        self.features = read_stages(reader, known.samples, stage="all", dims=DIMS)

    def out_of_fold(self) -> NDArray[np.float64]:
        """Logits (N, K) of the held-back samples, each by a layer that saw neither it nor its part; nan of the rest.

        Their cross entropy chooses the strength of the regularisation, for all parts and for `fit`.
        """
        known = self.known
        found = np.full((len(self.strengths), len(known.labels), len(known.classes)), np.nan)
        for held in known.held:
            rows = np.flatnonzero(~held)
            stage, _ = self._best_stage(rows)
            asked = self._features(stage, np.flatnonzero(held))
            for i, layer in enumerate(self._layers(stage, rows, self.strengths)):
                found[i, held] = layer.scores(asked).double().cpu().numpy()
        are_held = np.isfinite(found[0, :, 0])
        labels = known.labels[are_held]
        losses = [log_loss(logits[are_held], labels, known.sample_weights(labels)) for logits in found]
        best = int(np.argmin(losses))
        self.strength = self.strengths[best]
        chosen: NDArray[np.float64] = found[best]
        return chosen

    def fit(self) -> OnStage:
        """A layer fitted to all samples, on the stage that these choose."""
        rows = np.arange(len(self.known.labels))
        stage, accuracy = self._best_stage(rows)
        layer = next(self._layers(stage, rows, (self.strength,)))
        return OnStage(classifier=layer, stage=stage, strength=self.strength, accuracy=accuracy)

    def logits(self, fitted: OnStage, samples: Samples) -> NDArray[np.float64]:
        """(M, K) of other samples."""
        features = read_stages(self.reader, samples, stage=fitted.stage, dims=DIMS)
        x = torch.from_numpy(np.concatenate(list(features.values()), 1)).to(self.reader.device).float()
        logits: NDArray[np.float64] = fitted.classifier.scores(x).double().cpu().numpy()
        return logits

    def _layers(self, stage: str, rows: NDArray[np.int64], strengths: Sequence[float]) -> Iterator[LinearClassifier]:
        """A layer on a stage, or the mean of one on each, fitted to some samples; one for each strength."""
        device, labels = self.reader.device, self.known.labels[rows]
        weights = self.known.sample_weights(labels)
        counted = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
        y, names = torch.from_numpy(labels).to(device), list(self.features) if stage == ALL_STAGES else [stage]
        paths = [
            softmax_path(self._features(name, rows), y, len(self.known.classes), strengths, counted) for name in names
        ]
        for layers in zip(*paths, strict=True):
            yield _mean_of(layers)

    def _features(self, stage: str, rows: NDArray[np.int64]) -> Tensor:
        """(M, D) float32 of some samples, on the device; those of all stages one after the other."""
        names = list(self.features) if stage == ALL_STAGES else [stage]
        found = np.concatenate([self.features[name][rows] for name in names], 1)
        return torch.from_numpy(found).to(self.reader.device).float()

    def _best_stage(self, rows: NDArray[np.int64]) -> tuple[str, float]:
        """By ridge regression, which leaves out one sample at a time up to 1,024; the later of equal ones.

        All stages where labels are few.
        """
        if len(self.features) == 1:
            return next(iter(self.features)), 0.0
        if len(self.known.labels) < FEW:
            return ALL_STAGES, 0.0
        labels = torch.from_numpy(self.known.labels[rows]).to(self.reader.device)
        held = torch.from_numpy(held_back(len(rows), self.seed)).to(self.reader.device)
        reached: dict[str, float] = {}
        for stage, features in self.features.items():
            probe = RidgeProbe(len(self.known.classes))
            for start in range(0, len(rows), ROWS):
                part = slice(start, start + ROWS)
                x = torch.from_numpy(features[rows[part]]).to(self.reader.device).float()
                probe.add(x, labels[part], held[part])
            probe.solve()
            reached[stage] = probe.reached
        best = max(reversed(reached), key=lambda stage: reached[stage])
        return best, reached[best]


def _mean_of(layers: Sequence[LinearClassifier]) -> LinearClassifier:
    """The mean of the scores of layers on different features, as one layer on all of them."""
    return LinearClassifier(
        mean=torch.cat([one.mean for one in layers]),
        std=torch.cat([one.std for one in layers]),
        weight=torch.cat([one.weight for one in layers]) / len(layers),
        bias=torch.stack([one.bias for one in layers]).mean(0),
    )

"""A linear layer on the best frozen stage, chosen on the samples it is fitted to, never on those that are held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.data.store.samples import Samples
from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.ridge import LinearClassifier, RidgeProbe
from selftaught.evaluation.fit.softmax_regression import STRENGTHS, fit_softmax, softmax_path
from selftaught.evaluation.metrics.calibration import log_loss
from selftaught.evaluation.models.known import Known
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader

DIMS = 2000
"""Features of a stage after pooling."""
ROWS = 4096
"""Rows that are on the device at once while a stage is chosen."""


@dataclass(frozen=True, kw_only=True)
class OnStage:
    """A fitted linear layer.

    Attributes:
        accuracy: share in [0, 1] of the fitted samples that ridge regression on the stage predicted from the others.
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
            stage, _ = self._best_stage(np.flatnonzero(~held))
            x, y, weights = self._rows(stage, np.flatnonzero(~held))
            asked = self._rows(stage, np.flatnonzero(held))[0]
            for i, layer in enumerate(softmax_path(x, y, len(known.classes), self.strengths, weights)):
                found[i, held] = layer.scores(asked).double().cpu().numpy()
        rows = np.isfinite(found[0, :, 0])
        weights_of = known.sample_weights(known.labels[rows])
        losses = [log_loss(logits[rows], known.labels[rows], weights_of) for logits in found]
        best = int(np.argmin(losses))
        self.strength = self.strengths[best]
        chosen: NDArray[np.float64] = found[best]
        return chosen

    def fit(self) -> OnStage:
        """A layer fitted to all samples, on the stage that these choose."""
        rows = np.arange(len(self.known.labels))
        stage, accuracy = self._best_stage(rows)
        x, y, weights = self._rows(stage, rows)
        layer = fit_softmax(x, y, len(self.known.classes), self.strength, weights)
        return OnStage(classifier=layer, stage=stage, strength=self.strength, accuracy=accuracy)

    def logits(self, fitted: OnStage, samples: Samples) -> NDArray[np.float64]:
        """(M, K) of other samples."""
        features = read_stages(self.reader, samples, stage=fitted.stage, dims=DIMS)[fitted.stage]
        x = torch.from_numpy(features).to(self.reader.device).float()
        logits: NDArray[np.float64] = fitted.classifier.scores(x).double().cpu().numpy()
        return logits

    def _rows(self, stage: str, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features (M, D), labels (M,) and weights (M,) of some samples, on the device."""
        device = self.reader.device
        labels = self.known.labels[rows]
        weights = self.known.sample_weights(labels)
        counted = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
        x = torch.from_numpy(self.features[stage][rows]).to(device).float()
        return x, torch.from_numpy(labels).to(device), counted

    def _best_stage(self, rows: NDArray[np.int64]) -> tuple[str, float]:
        """By ridge regression, which leaves out one sample at a time where they are few; the later of equal ones."""
        if len(self.features) == 1:
            return next(iter(self.features)), 0.0
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

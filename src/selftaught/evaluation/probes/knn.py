"""Nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.ranges import Range, Settings
from selftaught.data.store.samples import Samples
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.votes import vote
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader


class KNearest(Probe):
    """Classify by a vote of the most similar training samples, without training (Wu et al., CVPR 2018).

    Votes of the k nearest features by cosine, weighted by exp(cosine / temperature), as in DINO and lightly. All
    training samples vote if there are fewer than k.
    """

    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        k: Annotated[int, Range(least=1)] = 20
        """Neighbours that vote."""
        temperature: Annotated[float, Range(above=0)] = 0.07
        """Temperature of the votes; smaller values give the nearest neighbours more weight."""
        stage: str = "pooled"
        """Features to compare: pooled (output of the encoder), all, last or the name of a stage."""
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy of the stages in percent; `more` has the number of neighbours that voted."""
        assert data.train.labels is not None
        assert data.test.labels is not None
        known, asked = (self._read(reader, samples) for samples in (data.train, data.test))
        labels = torch.from_numpy(data.train.labels).to(reader.device)
        right = {}
        for name, vectors in known.items():
            predicted = vote(
                torch.from_numpy(vectors).to(reader.device).float(),
                labels,
                torch.from_numpy(asked[name]).to(reader.device).float(),
                k=self.config.k,
                temperature=self.config.temperature,
            )
            right[name] = 100 * (predicted.cpu().numpy() == data.test.labels).astype(np.float32)
        return best_stage(right, {"k": min(self.config.k, len(data.train))})

    def _read(self, reader: Reader, samples: Samples) -> dict[str, NDArray[np.float16]]:
        return read_stages(reader, samples, stage=self.config.stage, dims=self.config.dims)

"""Linear probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.probes.base import Labelled, Probe, Score
from selftaught.probes.reader import Reader
from selftaught.probes.ridge import LinearClassifier, RidgeProbe
from selftaught.probes.scores import best_stage
from selftaught.randomness import numpy_generator
from selftaught.store import Samples


class Linear(Probe):
    """How well a linear classifier on each frozen stage tells the classes (Jing & Tian 2020, section 5.2).

    The survey's protocol: every stage, average-pooled to about 9,000 numbers, each standardised (RotNet's batch
    normalisation without affine), one linear layer. Solved in closed form by ridge regression; its strength is chosen
    on a part of the training set, never on the test set. The best stage is named by the test figures, as in the
    field's tables.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        dims: int = 9000
        """Numbers that a stage is pooled to."""

        def __post_init__(self) -> None:
            if self.dims < 1:
                raise ValueError(f"--probe.dims must be at least 1, got {self.dims}")

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy of every stage in percent."""
        classifiers = self._fit(reader, data.train)
        right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in classifiers}
        assert data.test.labels is not None
        for features, rows in reader.batches(data.test, self.config.dims):
            labels = torch.from_numpy(data.test.labels[rows])
            for name, values in features.items():
                right[name].append((classifiers[name].predict(values).cpu() == labels).numpy())
        return best_stage({name: 100 * np.concatenate(hits).astype(np.float32) for name, hits in right.items()})

    def _fit(self, reader: Reader, train: Samples) -> dict[str, LinearClassifier]:
        assert train.labels is not None
        num_classes = int(train.labels.max()) + 1
        share = 0.2 if len(train) < 2000 else 0.1
        held = numpy_generator(self.seed, "held back").random(len(train)) < share
        probes: dict[str, RidgeProbe] = {}
        for features, rows in reader.batches(train, self.config.dims):
            labels = torch.from_numpy(train.labels[rows]).to(reader.device)
            is_held = torch.from_numpy(held[rows]).to(reader.device)
            for name, values in features.items():
                probes.setdefault(name, RidgeProbe(num_classes)).add(values, labels, is_held)
        return {name: probes.pop(name).solve()[0] for name in list(probes)}

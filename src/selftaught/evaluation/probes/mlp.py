"""Non-linear probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from selftaught.core.randomness import generator
from selftaught.core.ranges import Range, Settings
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.hidden_layer import HiddenLayer, Training, fit_hidden_layer
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.all_stages import read_stages, stage_batches
from selftaught.features.reader import Reader


class Mlp(Probe):
    """Train a classifier with one hidden layer on frozen features.

    As RotNet's non-linear classifiers (Gidaris et al., ICLR 2018), but with one layer of `hidden` units on every stage,
    average-pooled to about 9,000 features and standardised. Training uses AdamW and stops when the accuracy on
    held-back training samples stops improving; the weights of the best epoch are kept.
    """

    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        stage: str = "all"
        """Stages to read: all, last, pooled (output of the encoder) or the name of a stage."""
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Units of the hidden layer."""
        lr: Annotated[float, Range(above=0)] = 1e-3
        """Learning rate."""
        weight_decay: Annotated[float, Range(least=0)] = 0.01
        """Weight decay."""
        batch_size: Annotated[int, Range(least=1)] = 256
        """Samples per step."""
        epochs: Annotated[int, Range(least=1)] = 100
        """Largest number of epochs, of at least 20 steps each."""
        patience: Annotated[int, Range(least=1)] = 10
        """Stop after this many epochs without better accuracy on the held-back samples."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy of the stages in percent; `more` has the epoch that was kept of each."""
        networks = self._fit(reader, data)
        assert data.test.labels is not None
        outcomes = {name: np.empty(len(data.test), np.float32) for name in networks}
        for features, rows in stage_batches(reader, data.test, stage=self.config.stage, dims=self.config.dims):
            for name, values in features.items():
                found = networks[name].predict(values).cpu().numpy()
                outcomes[name][rows] = 100 * (found == data.test.labels[rows])
        return best_stage(outcomes, {"epochs": {name: network.best_epoch for name, network in networks.items()}})

    def _fit(self, reader: Reader, data: Labelled) -> dict[str, HiddenLayer]:
        c = self.config
        assert data.train.labels is not None
        training = Training(
            hidden=c.hidden,
            lr=c.lr,
            weight_decay=c.weight_decay,
            batch_size=c.batch_size,
            epochs=c.epochs,
            patience=c.patience,
        )
        features = read_stages(reader, data.train, stage=c.stage, dims=c.dims)
        held = held_back(len(data.train), self.seed)
        return {
            name: fit_hidden_layer(
                values,
                data.train.labels,
                held,
                len(data.classes),
                training,
                rng=generator(self.seed, "mlp", name),
                device=reader.device,
            )
            for name, values in features.items()
        }

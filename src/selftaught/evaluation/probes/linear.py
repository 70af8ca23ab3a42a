"""Linear probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import generator
from selftaught.core.ranges import Range, Settings
from selftaught.data.store.samples import Samples
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.published_sgd import SCHEDULES, StageClassifier, fit_by_sgd
from selftaught.evaluation.fit.ridge import LinearClassifier, RidgeProbe
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader


class Linear(Probe):
    """Fit a linear classifier on each frozen stage (Jing & Tian 2020, section 5.2).

    The protocol of the survey: every stage is average-pooled to about 9,000 features, which are classified by one
    linear layer. The default is a closed form: ridge regression on standardised features (like RotNet's batch
    normalisation without affine parameters). Its regularisation is chosen on a part of the training set, or by
    leave-one-out for up to 1,024 samples, never on the test set. `--probe.solver sgd` trains all stages together with
    the schedule of a published table instead; training images are centre crops too, so that features are computed only
    once, and no epoch is chosen on the test set. The best stage is chosen by the test metric, as in published tables.
    """

    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling."""
        solver: Literal["closed_form", "sgd"] = "closed_form"
        """Ridge regression in closed form, or stochastic gradient descent with a published schedule."""
        schedule: Literal["rotnet", "deepcluster", "fair"] = "rotnet"
        """Published schedule for sgd: RotNet (35 epochs), DeepCluster (90, unnormalised features) or FAIR's benchmark
        (28)."""
        epoch_scale: Annotated[float, Range(above=0)] = 1.0
        """Factor by which the epochs of the schedule are multiplied, for sgd."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.solver == "closed_form" and (self.schedule, self.epoch_scale) != ("rotnet", 1.0):
                raise ValueError("--probe.schedule and --probe.epoch-scale are for --probe.solver sgd; add it")

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy of every stage in percent."""
        if self.config.solver == "sgd":
            trained = self._by_sgd(reader, data)
            diverged = [name for name, classifier in trained.items() if classifier.diverged]
            return best_stage(self._outcomes(reader, data.test, trained), {"diverged": diverged} if diverged else None)
        return best_stage(self._outcomes(reader, data.test, self._in_closed_form(reader, data)))

    def _outcomes(
        self, reader: Reader, test: Samples, classifiers: Mapping[str, LinearClassifier | StageClassifier]
    ) -> dict[str, NDArray[np.float32]]:
        right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in classifiers}
        assert test.labels is not None
        for features, rows in reader.batches(test, self.config.dims):
            labels = torch.from_numpy(test.labels[rows])
            for name, values in features.items():
                right[name].append((classifiers[name].predict(values).cpu() == labels).numpy())
        return {name: 100 * np.concatenate(hits).astype(np.float32) for name, hits in right.items()}

    def _by_sgd(self, reader: Reader, data: Labelled) -> dict[str, StageClassifier]:
        assert data.train.labels is not None
        return fit_by_sgd(
            read_stages(reader, data.train, stage="all", dims=self.config.dims),
            data.train.labels,
            len(data.classes),
            SCHEDULES[self.config.schedule],
            epoch_scale=self.config.epoch_scale,
            rng=generator(self.seed, "linear"),
            device=reader.device,
        )

    def _in_closed_form(self, reader: Reader, data: Labelled) -> dict[str, LinearClassifier]:
        train = data.train
        assert train.labels is not None
        held = held_back(len(train), self.seed)
        probes: dict[str, RidgeProbe] = {}
        for features, rows in reader.batches(train, self.config.dims):
            labels = torch.from_numpy(train.labels[rows]).to(reader.device)
            is_held = torch.from_numpy(held[rows]).to(reader.device)
            for name, values in features.items():
                probes.setdefault(name, RidgeProbe(len(data.classes))).add(values, labels, is_held)
        return {name: probes.pop(name).solve()[0] for name in list(probes)}

"""Support vector machines on frozen stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.randomness import numpy_generator
from selftaught.core.ranges import Range, Settings
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.squared_hinge import UnitRows, fit_svms
from selftaught.evaluation.fit.targets import Targets, deal_folds
from selftaught.evaluation.metrics.average_precision import Rankings
from selftaught.evaluation.metrics.class_mean import class_mean, resampled_class_means
from selftaught.evaluation.metrics.intervals import bootstrap, interval_of
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader

ELEMENTS = 50_000_000
"""Samples x machines that are fitted at once."""


class Svm(Probe):
    """Fit one-vs-rest linear support vector machines on each frozen stage and report mAP.

    FAIR's protocol for PASCAL VOC 2007 (Goyal et al., ICCV 2019): every stage is average-pooled to about 9,000 features
    and scaled to unit length; the loss is the squared hinge loss, in which positive samples count twice; and the cost C
    of every class is chosen by the average precision of a 3-fold cross-validation on the training samples. `value` is
    the mean over classes of the area under the interpolated precision-recall curve (VOC from 2010 on, as reported by
    that protocol); `more` also contains the 11-point metric of VOC07.
    """

    needs = frozenset({"labels"})
    metric = "map"
    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        stage: str = "all"
        """Stages to read: all, last, pooled (output of the encoder) or the name of a stage."""
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling."""
        costs: Annotated[tuple[float, ...], Range(above=0)] = (0.001, 0.01, 0.1, 1.0, 10.0)
        """Costs C to choose from; smaller values regularise more."""
        folds: Annotated[int, Range(least=2)] = 3
        """Folds of the cross-validation that chooses the cost."""
        positive_weight: Annotated[float, Range(above=0)] = 2.0
        """Weight of positive samples relative to negative ones."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        """mAP of the stages in percent.

        `more`: "map_11_point" and its intervals and "costs" by stage, "average_precision" by class at the best stage;
        where every sample has one class, "top1" by stage of the class with the largest score, with its intervals.
        """
        train, test = _targets(data)
        found: dict[str, NDArray[np.float32]] = {}
        costs: dict[str, list[float]] = {}
        asked = read_stages(reader, data.test, stage=self.config.stage, dims=self.config.dims)
        known = read_stages(reader, data.train, stage=self.config.stage, dims=self.config.dims)
        for name in list(known):
            weight, costs[name] = self._fit(UnitRows(known.pop(name), reader.device), train)
            found[name] = UnitRows(asked.pop(name), reader.device).scores(weight).cpu().numpy()
        return self._judge(found, test, data, costs)

    def chance(self, data: Labelled) -> float | None:
        """The mean mAP of rankings drawn at random; more than the share of a class, as its curve is interpolated."""
        test = _targets(data)[1]
        rng = numpy_generator("random rankings")
        drawn = [class_mean(Rankings(rng.random(test.shape), test).interpolated_area()) for _ in range(20)]
        return 100 * float(np.mean(drawn))

    def _fit(self, rows: UnitRows, targets: Targets) -> tuple[Tensor, list[float]]:
        """Weights (D + 1, K) of every class at its best cost, and those costs."""
        c = self.config
        folds = min(c.folds, len(targets))
        fold = deal_folds(targets, folds, self.seed)
        machines = [(cost, held) for cost in c.costs for held in range(folds)]
        weight = np.where(targets == 1, c.positive_weight, 1.0) * (targets != -1)
        judged: dict[tuple[float, int], NDArray[np.float64]] = {}
        at_once = max(1, ELEMENTS // targets.size)
        for start in range(0, len(machines) if len(c.costs) > 1 else 0, at_once):
            part = machines[start : start + at_once]
            charges = [cost * weight * (fold != held)[:, None] for cost, held in part]
            scores = self._scores(rows, targets, charges)
            for (cost, held), values in zip(part, scores, strict=True):
                judged[cost, held] = Rankings(values[fold == held], targets[fold == held]).area()
        chosen = [_best_cost(judged, c.costs, folds, k) for k in range(targets.shape[1])]
        signs, charge = _columns(targets, [weight * np.array(chosen)], rows)
        return fit_svms(rows, signs, charge), chosen

    def _scores(
        self, rows: UnitRows, targets: Targets, charges: list[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        """Scores (N, K) of all samples by the machines of each matrix of charges (N, K)."""
        signs, costs = _columns(targets, charges, rows)
        scores: NDArray[np.float32] = rows.scores(fit_svms(rows, signs, costs)).cpu().numpy()
        return np.split(scores, len(charges), axis=1)

    def _judge(
        self, found: dict[str, NDArray[np.float32]], test: Targets, data: Labelled, costs: dict[str, list[float]]
    ) -> Score:
        rankings = {name: Rankings(scores, test) for name, scores in found.items()}
        stages = {name: _percent(ranking.interpolated_area()) for name, ranking in rankings.items()}
        best = max(stages, key=lambda name: stages[name])
        resampled = {n: 100 * resampled_class_means(r.interpolated_area, len(test)) for n, r in rankings.items()}
        elevens = {n: 100 * resampled_class_means(r.eleven_points, len(test)) for n, r in rankings.items()}
        intervals = {name: interval_of(values) for name, values in resampled.items()}
        by_class = 100 * rankings[best].interpolated_area()
        more: dict[str, Any] = {
            "map_11_point": {n: _percent(r.eleven_points()) for n, r in rankings.items()},
            "map_11_point_intervals": {n: interval_of(values) for n, values in elevens.items()},
            "average_precision": {
                name: round(float(value), 3) if np.isfinite(value) else None
                for name, value in zip(data.classes, by_class, strict=True)
            },
            "costs": costs,
        }
        if data.test.labels is not None:
            right = {n: 100 * (s.argmax(1) == data.test.labels).astype(np.float32) for n, s in found.items()}
            more["top1"] = {name: round(float(values.mean(dtype=np.float64)), 3) for name, values in right.items()}
            more["top1_intervals"] = {name: bootstrap(values) for name, values in right.items()}
        return Score(
            value=stages[best],
            stage=best,
            stages=stages,
            interval=intervals[best],
            stage_intervals=intervals,
            more=more,
            resampled=resampled[best],
            stage_resampled=resampled,
        )


def _targets(data: Labelled) -> tuple[Targets, Targets]:
    """What the training and the test samples show."""
    assert data.train_targets is not None
    assert data.test_targets is not None
    return data.train_targets, data.test_targets


def _columns(targets: Targets, charges: list[NDArray[np.float64]], rows: UnitRows) -> tuple[Tensor, Tensor]:
    """Signs and costs (N, K x len(charges)) as `fit_svms` takes them."""
    signs = torch.from_numpy(np.where(targets == 1, 1, -1).astype(np.float32)).to(rows.device)
    costs = torch.from_numpy(np.concatenate(charges, axis=1).astype(np.float32)).to(rows.device)
    return signs.repeat(1, len(charges)), costs


def _best_cost(
    judged: dict[tuple[float, int], NDArray[np.float64]], costs: tuple[float, ...], folds: int, k: int
) -> float:
    """The first cost of the best mean average precision of class k over the folds; the middle one if none is known."""
    best, chosen = -1.0, costs[len(costs) // 2]
    for cost in costs:
        values = [judged[cost, held][k] for held in range(folds) if (cost, held) in judged]
        mean = class_mean(np.array(values))
        if mean > best:
            best, chosen = mean, cost
    return chosen


def _percent(figures: NDArray[np.float64]) -> float:
    return round(100 * class_mean(figures), 3)

"""The contract of a probe: one protocol by which the worth of an encoder is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from selftaught.data.inputs import Input
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.open_labelled import LABELLED
from selftaught.evaluation.metrics.intervals import bootstrap, interval_of, resample_groups
from selftaught.features.reader import Reader

Interval = tuple[float, float]
"""95 % confidence: lower and upper end."""
Groups = NDArray[np.int64]
"""(M,) the group of each test sample, such as a person."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one encoder reaches under one probe.

    Attributes:
        value: the probe's metric, of the best stage where several are read; higher is better, as `compare` ranks by
            it; in percent unless the metric is no share; nan for a probe without a metric.
        stage: where it was read.
        stages: the metric of every stage that was read.
        interval: of `value`, by resampling the test samples (`intervals.bootstrap`); None where that has no meaning.
        stage_intervals: the same of every stage.
        more: further metrics of the protocol by name, as JSON has them (recall at k, curves, a table).
        outcomes: (M,) float, what each test sample adds to `value` (100 where it is right, 0 where not), so that two
            encoders can be compared on the same samples; None where `value` is no mean over samples.
        resampled: (B,) what `value` would be on other test samples, from `intervals.resample`, whose draws are the same
            for every encoder; lets encoders be compared where `outcomes` cannot.
        files: drawings of the probe, by file name; written into a folder of the encoder next to the metrics.
        stage_outcomes: `outcomes` of every stage, by which folds are joined; not kept.
        stage_resampled: `resampled` of every stage, likewise.
        groups: (M,) the group of each test sample, such as a person, where intervals are over groups; likewise.
    """

    value: float
    stage: str
    stages: Mapping[str, float]
    interval: Interval | None = None
    stage_intervals: Mapping[str, Interval] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    outcomes: NDArray[np.float32] | None = None
    resampled: NDArray[np.float64] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    stage_outcomes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    stage_resampled: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The settings of a probe that has none."""


class Probe(ABC):
    """One final class in one file of this folder; the file's name is its name on the command line.

    `Config` is a frozen, keyword-only dataclass of plain values; each field is followed by a docstring, which becomes
    the help of its `--probe.<field>` flag. Hyper-parameters are chosen on a part of the training samples, never on the
    test samples. A probe does not depend on the pretext task.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    """What the data must provide beside what the encoder takes: "label" (one class each) or "labels" (several classes
    each, or one), "video", "audio", "box", "mask"; empty for what needs no labels. Read from the text of the file."""
    data: ClassVar[DataKind] = LABELLED
    """How they are opened and what `score` is given: LABELLED, DENSE for boxes and masks, PAIRED for what `inputs`
    names of each sample, UNLABELLED."""
    inputs: ClassVar[Mapping[str, Input]] = {}
    """What is read of each sample, as a task names it, such as {"clip": Clip(frames=8, fps=4)}; where it is empty what
    the encoder takes, or for an encoder of images the frames of a clip where `needs` names "video"."""
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image", "video", "audio"})
    """Kinds of encoders that it measures."""
    folds_few: ClassVar[bool] = False
    """Whether few samples without a test part are tested in folds unless asked otherwise: for probes that read features
    which are computed once."""
    metric: ClassVar[str] = "top1"
    """Name of `Score.value`."""
    Config: ClassVar[type[Any]] = NoSettings

    def __init__(self, config: Any, seed: int = 0) -> None:
        self.config = config
        self.seed = seed

    @abstractmethod
    def score(self, reader: Reader, data: Any) -> Score:
        """Measure the encoder of `reader` on what `self.data` opens: `Labelled`, `Dense`, `Paired` or `Unlabelled`."""

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder is trained too, so that random weights mean training from scratch."""
        return False

    def chance(self, data: Any) -> float | None:
        """The metric without any knowledge, where it is known."""
        return 100 / len(data.classes) if data.classes else None


def best_stage(
    outcomes: Mapping[str, NDArray[np.float32]], more: Mapping[str, Any] | None = None, *, groups: Groups | None = None
) -> Score:
    """The score of a mean over test samples, from the outcomes (M,) of every stage.

    Intervals are over samples, or over `groups` where there are two or more.
    """
    stages = {name: round(float(values.mean(dtype=np.float64)), 3) for name, values in outcomes.items()}
    best = max(stages, key=lambda name: stages[name])
    if not _several(groups):
        intervals = {name: bootstrap(values) for name, values in outcomes.items()}
        resampled = {}
    else:
        assert groups is not None
        resampled = {name: resample_groups(values, groups) for name, values in outcomes.items()}
        intervals = {name: interval_of(values) for name, values in resampled.items()}
    return Score(
        value=stages[best],
        stage=best,
        stages=stages,
        interval=intervals[best],
        stage_intervals=intervals,
        more=more or {},
        outcomes=None if resampled else outcomes[best],
        resampled=resampled.get(best),
        stage_outcomes=outcomes,
        groups=groups,
    )


def resampled_over(groups: Groups | None, samples: str) -> str:
    """What the intervals of `best_stage` are over, in words: "9 groups", or `samples`."""
    return f"{len(np.unique(groups))} groups" if groups is not None and _several(groups) else samples


def _several(groups: Groups | None) -> bool:
    return groups is not None and len(np.unique(groups)) > 1

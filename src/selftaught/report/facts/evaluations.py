"""One evaluation: its metrics with their intervals, also from old files, and its name in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.wording import Interval, interval_in, metric_of, number

PROTOCOLS = {
    "linear": "linear probe",
    "svm": "linear SVM",
    "mlp": "MLP probe",
    "knn": "k-NN probe",
    "finetune": "fine-tuning",
    "action": "action recognition",
    "retrieval": "retrieval",
    "clip_retrieval": "clip retrieval",
    "segmentation": "segmentation",
    "detection": "detection",
    "mask_propagation": "mask propagation",
    "depth": "depth",
    "contour": "contours",
    "label_free": "label-free metrics",
    "qualitative": "pictures",
}
"""The protocols in the order of the page, in words."""
WITHOUT_LABELS = ("label_free", "qualitative")
"""Protocols that measure no use of the features."""


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval, where it has one."""

    value: float
    interval: Interval | None = None

    @property
    def is_distinct(self) -> bool | None:
        """Whether it differs from 0 by more than chance of the draw; None where that is not known."""
        return None if self.interval is None else not self.interval[0] <= 0 <= self.interval[1]


def estimate(result: Any, evaluation: Json) -> Estimate | None:
    """The best value of `result`, which is the evaluation or its "random" or "supervised"."""
    value = finite(result.get("value")) if isinstance(result, Mapping) else None
    return None if value is None else Estimate(value, _interval(result.get("interval"), value, evaluation))


def stage_estimates(result: Json, evaluation: Json) -> dict[str, Estimate]:
    """The value of every stage that was read."""
    intervals = result.get("stage_intervals") or {}
    values = {str(name): finite(value) for name, value in (result.get("stages") or {}).items()}
    return {
        name: Estimate(value, _interval(intervals.get(name), value, evaluation))
        for name, value in values.items()
        if value is not None
    }


def gain(evaluation: Json) -> Estimate | None:
    """By how much the best stage beats the best stage of random weights."""
    given = evaluation.get("gain")
    value = finite(given.get("value")) if isinstance(given, Mapping) else None
    if isinstance(given, Mapping) and value is not None and (ends := interval_in(given.get("interval"))):
        return Estimate(value, ends)
    return difference(estimate(evaluation, evaluation), estimate(evaluation.get("random"), evaluation))


def difference(first: Estimate | None, second: Estimate | None) -> Estimate | None:
    """How much higher the first is, as if measured on different samples, which is wider than the truth for the same.

    The interval is had from the two by the sum of squares (Newcombe, Statistics in Medicine 1998, method 10).
    """
    if first is None or second is None:
        return None
    gap = first.value - second.value
    if first.interval is None or second.interval is None:
        return Estimate(gap)
    below = math.hypot(first.value - first.interval[0], second.interval[1] - second.value)
    above = math.hypot(first.interval[1] - first.value, second.value - second.interval[0])
    return Estimate(gap, (gap - below, gap + above))


def behind(row: Json, best: Json) -> Estimate | None:
    """By how much a row of a comparison stays behind its best row; None for the best itself."""
    if row is best:
        return None
    given = row.get("behind")
    value = finite(given.get("value")) if isinstance(given, Mapping) else None
    if isinstance(given, Mapping) and value is not None and (ends := interval_in(given.get("interval"))):
        return Estimate(value, ends)
    mine, theirs = row.get("probe") or {}, best.get("probe") or {}
    return difference(estimate(theirs, theirs), estimate(mine, mine))


def in_order(evaluations: Sequence[Json]) -> list[Json]:
    """Those of the kept encoder first; by protocol, all labels before few, more labels before fewer."""
    names = list(PROTOCOLS)

    def place(evaluation: Json) -> tuple[bool, int, float, float]:
        probe = str(evaluation.get("probe"))
        order = names.index(probe) if probe in names else len(names)
        share, samples = finite(evaluation.get("fraction")), finite(evaluation.get("train_samples"))
        return "other_part" in evaluation, order, -(share or 1.0), -(samples or 0.0)

    return sorted(evaluations, key=place)


def main_evaluation(evaluations: Sequence[Json]) -> Json | None:
    """The evaluation the answer is taken from: linear on all labels where there is one."""
    return next((e for e in in_order(evaluations) if e.get("probe") not in WITHOUT_LABELS), None)


def protocol_words(evaluation: Json) -> str:
    """Such as "linear probe on 1 % of the labels", "linear probe on 300 labels", "linear probe (audio_encoder)"."""
    probe, part = str(evaluation.get("probe")), evaluation.get("other_part")
    words = PROTOCOLS.get(probe, f"{probe.replace('_', ' ')} probe") + _few(evaluation)
    return f"{words} ({part})" if part else words


def _few(evaluation: Json) -> str:
    """On how many of the labels, where not on all."""
    if evaluation.get("limit") is not None:  # a share is not of all labels then
        return f" on {number(finite(evaluation.get('train_samples')))} labels"
    fraction = finite(evaluation.get("fraction"))
    return f" on {number(100 * fraction)} % of the labels" if fraction is not None and fraction < 1 else ""


def within_words(evaluation: Json) -> str:
    """Such as "in the linear probe" or "in retrieval"."""
    words = protocol_words(evaluation)
    return f"in the {words}" if words.split(" on ")[0].endswith(("probe", "SVM", "metrics")) else f"in {words}"


def metric_words(evaluation: Json) -> str:
    """The probe's metric as people write it."""
    return metric_of(evaluation.get("metric")).words


def data_name(evaluation: Json) -> str:
    """Name of the data that the features were probed on, without local folders."""
    return PurePath(str(evaluation.get("labelled") or "labelled data")).name


def interval_words(evaluation: Json) -> str:
    """How the intervals of this evaluation were had; nothing where it has none."""
    tested = finite(evaluation.get("test_samples"))
    over = f" over {number(tested)} test samples" if tested else ""
    if interval_in(evaluation.get("interval")):
        return f"Intervals are 95 % by bootstrap{over}; the spread over seeds comes on top."
    value = estimate(evaluation, evaluation)
    if value is not None and value.interval is not None:
        return f"Intervals are 95 % of a binomial share{over}; the spread over seeds comes on top."
    return ""


def _interval(given: Any, value: float, evaluation: Json) -> Interval | None:
    """The interval in the file; of an accuracy without one the normal approximation of a binomial share."""
    if (ends := interval_in(given)) is not None:
        return ends
    tested = finite(evaluation.get("test_samples"))
    if evaluation.get("metric") != "top1" or not tested:
        return None
    share = min(max(value / 100, 0.0), 1.0)
    half = 196 * math.sqrt(share * (1 - share) / tested)
    return value - half, value + half

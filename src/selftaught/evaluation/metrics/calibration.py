"""Whether probabilities are right: calibration error, temperature, and the threshold of answers that may be given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, ndtri, stdtrit

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics.intervals import LEVEL

BINS = 15
"""Of equal width, as in Guo et al. (2017)."""
COLDEST, HOTTEST = 0.02, 50.0
"""Temperatures that are looked at."""
TURNS = 10
"""Parts of the held-back samples, on each of which a threshold is measured that the others chose."""
_ROUNDING = 1e-9

Floats = NDArray[np.float64]


def calibration_error(
    probabilities: Floats, labels: NDArray[np.int64], weights: Floats | None = None, bins: int = BINS
) -> float:
    """Expected calibration error in percent (Guo et al., ICML 2017): mean gap of confidence and accuracy over bins.

    Args:
        probabilities: (M, K), each row sums to 1.
        labels: (M,) true classes.
        weights: (M,) of the samples; None counts each once.
        bins: of equal width over the confidence.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    weights = np.ones(len(labels)) if weights is None else weights
    # A confidence of 0.2 belongs to the bin that ends there, as the paper has it: (0, 1/15], (1/15, 2/15] ...
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights * (confidence - right), minlength=bins)
    return float(100 * np.abs(gaps).sum() / weights.sum())


def log_loss(
    logits: Floats, labels: NDArray[np.int64], weights: Floats | None = None, temperature: float = 1.0
) -> float:
    """Mean cross entropy in nats of logits (M, K) divided by the temperature."""
    losses = -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels]
    return float(np.average(losses, weights=weights))


def fit_temperature(logits: Floats, labels: NDArray[np.int64], weights: Floats | None = None) -> float:
    """The temperature in [0.02, 50] by which logits (M, K) are divided for the least cross entropy (Guo 2017)."""
    found = minimize_scalar(
        lambda log: log_loss(logits, labels, weights, math.exp(log)),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
    )
    return float(math.exp(found.x))


def share_interval(count: float, total: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, in percent; it has a width where the share is 0 or 1 (JASA 1927).

    Of samples that are independent; `grouped_interval` is of others.
    """
    z = float(ndtri((1 + LEVEL) / 2))
    share, spread = count / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / total / 4) / (1 + spread)
    return round(100 * max(0.0, middle - half), 3), round(100 * min(1.0, middle + half), 3)


def grouped_interval(outcomes: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> tuple[float, float]:
    """The 95 % interval, in percent, of the share of `outcomes` (M,) whose samples belong together in groups (M,).

    Wilson's for as many samples as they are worth (Korn & Graubard, Survey Methodology 1998; the National Center for
    Health Statistics, Parker et al. 2017, takes the same number): with the share p = sum(y) / M and the G groups' sums
    u_g = sum(y - p), p has the variance v = G / (G - 1) sum(u_g^2) / M^2, and independent samples would have it if
    there were p (1 - p) / v. That number is multiplied by (t(M - 1) / t(G - 1))^2, of the 97.5 % quantiles of Student's
    t, as v is known by G - 1 numbers only, and is M at most. Where all groups agree, on 0 or 1 too, or there is one,
    v says nothing and each group counts as one sample. None for samples that are independent.
    """
    total, count = len(outcomes), int(outcomes.sum())
    kinds = total if groups is None else len(np.unique(groups))
    if kinds == total:
        return share_interval(count, total)
    assert groups is not None
    share = count / total
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=outcomes - share)
    spread = float(np.square(sums).sum()) / total**2
    worth = float(kinds)
    if kinds > 1 and spread > _ROUNDING**2:
        at = (1 + LEVEL) / 2
        seen = share * (1 - share) / (spread * kinds / (kinds - 1))
        worth = seen * float(stdtrit(total - 1, at) / stdtrit(kinds - 1, at)) ** 2
    return share_interval(share * min(worth, total), min(worth, total))


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Answers are given from a confidence on.

    Attributes:
        confidence: the least probability in [0, 1] of an answer that is given.
        error: share of wrong answers in percent on samples that did not choose the threshold, with its interval; None
            where none of them was answered.
        answered: how many of these samples got an answer, in percent.
    """

    confidence: float
    error: float | None
    interval: tuple[float, float]
    answered: float


def threshold_for(
    confidence: Floats, right: NDArray[np.bool_], error: float, groups: NDArray[np.int64] | None = None
) -> Threshold:
    """The threshold that answers most samples (M,) with at most this share of wrong answers (Geifman & El-Yaniv 2017).

    All samples choose it. On these its error is at most `error` by construction, which says little where they are few.
    So the error that is stated is of ten thresholds, each chosen on nine tenths of the samples and measured on the
    last; groups (M,) are not divided.

    Raises:
        ValueError: no threshold keeps to it.
    """
    least = _least_confidence(confidence, right, error)
    if least is None:
        lowest = 100 * _errors(confidence, right)[1].min()
        raise ValueError(
            f"--error {error:g} is reached by no threshold on the {len(right)} held-back samples: of the most certain "
            f"ones {lowest:.1f} % are wrong at least; allow more, or give more labels"
        )
    part = dealt_parts(len(right), TURNS, groups, "threshold")
    answered = np.zeros(len(right), bool)
    for k in np.unique(part):
        own = _least_confidence(confidence[part != k], right[part != k], error)
        answered |= (part == k) & (confidence >= (np.inf if own is None else own))
    wrong, count = int((answered & ~right).sum()), int(answered.sum())
    of = None if groups is None else groups[answered]
    interval = grouped_interval(~right[answered], of) if count else (0.0, 100.0)
    return Threshold(
        confidence=least,
        error=round(100 * wrong / count, 3) if count else None,
        interval=interval,
        answered=round(100 * count / len(right), 3),
    )


def dealt_parts(count: int, parts: int, groups: NDArray[np.int64] | None, *names: int | str) -> NDArray[np.int64]:
    """The part (count,) of each sample, drawn by the names; samples of a group (count,) are in one part."""
    numbers = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    drawn: NDArray[np.int64] = numpy_generator(*names).permutation(int(numbers.max(initial=-1)) + 1)[numbers] % parts
    return drawn


def _least_confidence(confidence: Floats, right: NDArray[np.bool_], error: float) -> float | None:
    """The lowest threshold with at most this share of wrong answers; None where there is none."""
    levels, errors = _errors(confidence, right)
    kept = np.flatnonzero(errors <= error + _ROUNDING)
    return float(levels[kept[-1]]) if len(kept) else None


def _errors(confidence: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Every confidence that occurs, falling, and the share of wrong answers from it on.

    Samples of the same confidence are answered together.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], np.cumsum(~right[order])
    ends = np.flatnonzero(np.append(np.diff(confidence) < 0, True)) if len(order) else np.zeros(0, np.int64)
    return confidence[ends], wrong[ends] / (ends + 1)

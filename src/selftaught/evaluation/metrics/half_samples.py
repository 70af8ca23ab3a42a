"""Confidence interval of a metric of a whole set of samples, such as a rank, from the metric of random halves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator

Figures = Mapping[str, float]


def with_intervals(
    figures: Callable[[NDArray[np.int64]], Figures], count: int, *, draws: int, seed: int = 0
) -> dict[str, dict[str, float | list[float] | None]]:
    """{name: {"value", "interval"}} of what `figures` computes for all `count` samples; it gets the rows to use.

    The standard error is the deviation over `draws` halves drawn without replacement: the delete-d jackknife with
    d = n / 2, whose factor (n - d) / d is 1 (Shao & Wu, Annals of Statistics 1989). A bootstrap would draw samples
    twice, which lowers a rank by itself. The interval is 1.96 errors to both sides, 95 % where the metric is about
    normal. None stands for a metric that is not finite, or an interval of which not all halves gave one.
    """
    rng = numpy_generator("half samples", seed, count)
    whole = figures(np.arange(count))
    halves = [figures(np.sort(rng.permutation(count)[: count // 2])) for _ in range(draws)]
    found: dict[str, dict[str, float | list[float] | None]] = {}
    for name, value in whole.items():
        reach = 1.96 * float(np.std([half[name] for half in halves], ddof=1))
        found[name] = {
            "value": round(value, 4) if math.isfinite(value) else None,
            "interval": [round(value - reach, 4), round(value + reach, 4)] if math.isfinite(value + reach) else None,
        }
    return found

"""Metrics of predicted frames, step by step: columns psnr_1 ... psnr_K of heldout.csv beside copy_psnr_1 ..."""

from __future__ import annotations

import math
from dataclasses import dataclass

from selftaught.report.facts.read import Columns

COPY = "copy_"
"""Before the name of a metric: that of the last frame in the place of a predicted one."""


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """A metric over the steps 1 ... K of the horizon, at the last held-out evaluation.

    Attributes:
        metric: its name, such as psnr.
        predicted: its values.
        copied: those of copying the last frame.
    """

    metric: str
    predicted: tuple[float, ...]
    copied: tuple[float, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns it is read from."""
        steps = range(1, len(self.predicted) + 1)
        return frozenset(f"{prefix}{self.metric}_{k}" for prefix in ("", COPY) for k in steps)


def horizons(heldout: Columns) -> list[Horizon]:
    """All metrics of a horizon; numbered columns without their copies are none."""
    found = []
    for name in heldout:
        if name.startswith(COPY) and name.endswith("_1"):
            metric = name.removeprefix(COPY).removesuffix("_1")
            steps = 0
            while {f"{metric}_{steps + 1}", f"{COPY}{metric}_{steps + 1}"} <= heldout.keys():
                steps += 1
            if steps:
                found.append(
                    Horizon(
                        metric=metric,
                        predicted=tuple(_last(heldout[f"{metric}_{k}"]) for k in range(1, steps + 1)),
                        copied=tuple(_last(heldout[f"{COPY}{metric}_{k}"]) for k in range(1, steps + 1)),
                    )
                )
    return found


def _last(values: tuple[float, ...]) -> float:
    """The last number of a column; nan where there is none."""
    return next((value for value in reversed(values) if math.isfinite(value)), math.nan)

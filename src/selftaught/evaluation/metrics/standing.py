"""Difference of each task of a comparison to the best one, and whether it is significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.npz_damage import NPZ_DAMAGE
from selftaught.evaluation.metrics.intervals import difference, interval_of, unpaired

Judged = Mapping[str, NDArray[np.floating[Any]]]
"""Arrays of an evaluation: "encoder", what each test sample adds to its metric, or "encoder_resampled", the metric on
resampled test samples; either lets encoders be compared on the same samples."""


def judged_in(run: Path, evaluation: Mapping[str, Any]) -> Judged:
    """The arrays that `evaluate` wrote beside its JSON; none where the protocol has none."""
    path = (run / "evaluations" / str(evaluation.get("file", ""))).with_suffix(".npz")
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("encoder", "encoder_resampled") if name in arrays}
    except NPZ_DAMAGE as broken:
        raise ValueError(f"{path} is damaged ({broken}); evaluate the run again") from None


def standing(
    best: Mapping[str, Any], other: Mapping[str, Any], *, best_judged: Judged, judged: Judged
) -> dict[str, Any]:
    """By how much `other` stays behind `best`, two evaluations by one protocol on the same test samples.

    Returns:
        "behind": {"value", "interval", "paired"}: the difference of the two metrics with its 95 % interval, paired by
        sample where that is known, from the two intervals else, which is wider; and "distinguishable": whether that
        interval leaves out 0, None where there is no interval.
    """
    interval, paired = None, True
    if _alike("encoder", best_judged, judged):
        interval = difference(best_judged["encoder"], judged["encoder"])
    elif _alike("encoder_resampled", best_judged, judged):
        interval = interval_of(best_judged["encoder_resampled"] - judged["encoder_resampled"])
    else:
        paired = False
        if best.get("interval") and other.get("interval"):
            interval = unpaired(best["value"], best["interval"], other["value"], other["interval"])
    gap = {
        "value": round(best["value"] - other["value"], 3),
        "interval": interval and list(interval),
        "paired": paired,
    }
    return {"behind": gap, "distinguishable": None if interval is None else not interval[0] <= 0 <= interval[1]}


def with_standings(rows: Sequence[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """The rows of a comparison, best first, with "behind" and "distinguishable"; both None for the best itself.

    Args:
        rows: each with "run", the name of its folder in `out`, and "probe", or "label_free" where no labels were given.
    """
    judges = [row["probe"] or row["label_free"] for row in rows]
    arrays = [judged_in(out / row["run"], judge or {}) for row, judge in zip(rows, judges, strict=True)]
    unknown = {"behind": None, "distinguishable": None}
    return [
        row | standing(judges[0], judge, best_judged=arrays[0], judged=judged)
        if place and judge and judges[0]
        else row | unknown
        for place, (row, judge, judged) in enumerate(zip(rows, judges, arrays, strict=True))
    ]


def _alike(name: str, first: Judged, second: Judged) -> bool:
    return name in first and name in second and first[name].shape == second[name].shape

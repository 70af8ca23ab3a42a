"""Agreement of label-free metrics with a probe: whether they rank runs in the same order."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from selftaught.core.files import read_object
from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics.intervals import bootstrap_of
from selftaught.evaluation.probes.catalogue import probe_info

Json = dict[str, Any]
Numbers = Sequence[float] | NDArray[np.float64] | NDArray[np.int64]
KEPT = "label_free_agreement.json"
Better = Literal["higher", "lower", "near 1"]
Kind = Literal["spearman", "kendall"]

BETTER: dict[str, Better] = {
    "rankme": "higher",
    "lidar": "higher",
    "alpha_req": "near 1",
    "alignment": "lower",
    "uniformity": "lower",
    "feature_std": "higher",
}
"""Direction in which each metric is better according to its authors, fixed in advance."""
KINDS: tuple[Kind, Kind] = ("spearman", "kendall")
LEVEL = 0.05
"""Significance level for all metrics together."""
MOST_EXACT = 7
"""Up to so many runs all orders of them are tried, beyond it a sample."""
DRAWS = 9999
"""Orders of that sample."""
FEWEST_FOR_INTERVAL = 10
"""Runs; a bootstrap over fewer says little."""


def folder_agreement(folder: Path, *, probe: str = "linear") -> Json:
    """`agreement` of the run folders in `folder` that `evaluate` measured both by `probe` and by label_free.

    Where runs were measured in several ways (other data, settings or seeds), the way that most of them share counts.
    """
    info = probe_info(probe)
    probe = info.short
    if not info.needs:
        raise ValueError(f"--by {probe} measures no use of the features; choose a probe that does, such as linear")
    runs = sorted(path.parent for path in folder.glob("*/config.json"))
    measured, described = _shared_way(runs, probe), _shared_way(runs, "label_free")
    if len(measured.keys() & described.keys()) < 2:
        raise ValueError(
            f"{folder} holds no two runs that were measured in one way by {probe} and by label_free; run 'selftaught "
            f"evaluate RUN LABELLED --probe {probe}' and 'selftaught evaluate RUN DATA --probe label_free' for each"
        )
    try:
        return agreement(measured, described)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"an evaluation in {folder} is damaged ({type(error).__name__}: {error}); run 'selftaught evaluate' again"
        ) from None


def check_kept(folder: Path) -> Path:
    """The file in `folder` that the agreement is kept in; one that holds something else is not replaced."""
    path = folder / KEPT
    if path.exists() and not {"rows", "points", "note"} <= read_object(path).keys():
        raise ValueError(f"{path} was not written by selftaught; move it elsewhere")
    return path


def agreement(measured: Mapping[str, Json], described: Mapping[str, Json]) -> Json:
    """`rank_agreement` of two runs or more from what `evaluate` returns by name of the run: by a probe, by label_free.

    The result also says by which "probe" and "metric", on which "labelled" and "unlabelled" data. A probe's value is
    that of its best stage, by which runs are ranked, but the metrics without labels are of the last one: "last_stage"
    is the same again with the probe's value there, where a run was better at an earlier stage.
    """
    both = [run for run in measured if run in described]
    figures = {run: {name: entry["value"] for name, entry in described[run]["more"]["figures"].items()} for run in both}
    best, last = (
        rank_agreement([{"run": run, "probe": value(measured[run]), "figures": figures[run]} for run in both])
        for value in (lambda found: found["value"], _at_last_stage)
    )
    ways = {key: measured[both[0]][key] for key in ("probe", "metric", "labelled")}
    ways["unlabelled"] = described[both[0]]["labelled"]
    return ways | best | {"last_stage": None if last["points"] == best["points"] else last}


def _at_last_stage(found: Json) -> float:
    stages: dict[str, float] = found.get("stages") or {}
    return [*stages.values()][-1] if stages else float(found["value"])


def rank_agreement(points: Sequence[Mapping[str, Any]], *, seed: int = 0) -> Json:
    """Spearman's and Kendall's correlation of each label-free metric with a probe's value, over runs.

    A coefficient is 1 where the metric, read the way its authors do (`BETTER`), orders the runs as the probe does. The
    p values are two-sided, of all orders of the runs or `DRAWS` of them; "p_holm" is Spearman's, corrected for the
    number of metrics (Holm 1979), and decides the verdict. Runs count as independent: seeds of one task are less so,
    which makes p too small.

    Args:
        points: of each run its name "run", the probe's value "probe" (higher is better) and its "figures" by name; a
            metric that is None or missing leaves the run out for this metric.
        seed: of the orders drawn.

    Returns:
        "runs", "note", "points" as given, and "rows", one a metric: metric, better, runs, spearman with interval and p,
        kendall with p, p_holm, and verdict "agrees", "disagrees" or "cannot tell".
    """
    known = [name for name in BETTER if any(_finite(point["figures"].get(name)) for point in points)]
    rows = [_row(name, points, seed) for name in known]
    for row, adjusted in zip(rows, _holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
        sure = adjusted is not None and adjusted <= LEVEL
        row["verdict"] = ("agrees" if row["spearman"] > 0 else "disagrees") if sure else "cannot tell"
    return {"runs": len(points), "note": _note(len(points), len(rows)), "rows": rows, "points": list(points)}


def correlation(first: Numbers, second: Numbers, kind: Kind) -> float:
    """Spearman's rho or Kendall's tau-b, ties and all; nan where one of them is constant."""
    if len(np.unique(first)) == 1 or len(np.unique(second)) == 1:
        return math.nan  # SciPy warns as well
    measure = stats.spearmanr if kind == "spearman" else stats.kendalltau
    return float(measure(first, second).statistic)


def _row(name: str, points: Sequence[Mapping[str, Any]], seed: int) -> Json:
    pairs = [(p["figures"].get(name), p["probe"]) for p in points]
    pairs = [(_oriented(figure, BETTER[name]), worth) for figure, worth in pairs if _finite(figure) and _finite(worth)]
    figure, worth = [f for f, _ in pairs], [w for _, w in pairs]
    row: Json = {"figure": name, "better": BETTER[name], "runs": len(pairs)}
    spearman, kendall = (_tested(figure, worth, kind, seed) for kind in KINDS)
    row |= {"spearman": spearman[0], "interval": _interval(figure, worth), "p": spearman[1]}
    return row | {"kendall": kendall[0], "p_kendall": kendall[1]}


def _tested(
    figure: Sequence[float], worth: Sequence[float], kind: Kind, seed: int
) -> tuple[float | None, float | None]:
    """The coefficient, and the share of orders of the runs that give one at least as far from 0."""
    found = correlation(figure, worth, kind) if len(figure) > 1 else math.nan
    if math.isnan(found):
        return None, None
    fixed = _differences(stats.rankdata(worth), kind)

    def distance(order: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        """Of the coefficient from 0 in multiples of a constant; the last axis of `order` is the runs."""
        far: NDArray[np.float64] = np.abs((_differences(order, kind) * fixed).sum((-2, -1)))
        return far

    test = stats.permutation_test(
        (stats.rankdata(figure),),
        distance,
        permutation_type="pairings",
        alternative="greater",
        vectorized=True,
        axis=-1,
        n_resamples=math.factorial(MOST_EXACT) if len(figure) <= MOST_EXACT else DRAWS,
        batch=max(1, 2_000_000 // fixed.size),
        random_state=numpy_generator("orders", seed, len(figure)),
    )
    return round(found, 3), float(test.pvalue)


def _differences(ranks: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Of all pairs, or their signs: the sum of products of two is a coefficient's numerator (Daniels 1944).

    SciPy's own coefficients take one order at a time, which is too slow for thousands.
    """
    differences = ranks[..., :, None] - ranks[..., None, :]
    return differences if kind == "spearman" else np.sign(differences)


def _interval(figure: Sequence[float], worth: Sequence[float]) -> list[float] | None:
    """Of Spearman's coefficient, by runs drawn with replacement."""
    if len(figure) < FEWEST_FOR_INTERVAL or len(set(figure)) == 1 or len(set(worth)) == 1:
        return None
    x, y = np.array(figure), np.array(worth)
    return list(bootstrap_of(lambda rows: correlation(x[rows], y[rows], "spearman"), len(figure), draws=1000))


def _holm(values: Sequence[float | None]) -> list[float | None]:
    """The values corrected for their number, by Holm's step-down."""
    order = sorted((i for i, p in enumerate(values) if p is not None), key=lambda i: values[i] or 0.0)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * (values[i] or 0.0)))
        adjusted[i] = largest
    return adjusted


def _note(runs: int, figures: int) -> str:
    """What so many runs can show at all."""

    def least(n: int) -> float:
        return min(1.0, 2 * figures / math.factorial(n))

    if runs < 2 or not figures:
        return "no two runs that were measured both with and without labels"
    if least(runs) > LEVEL:
        needed = next(n for n in itertools.count(runs) if least(n) <= LEVEL)
        return (
            f"{runs} runs are too few to decide: chance alone orders them as the probe does, or in reverse, too often "
            f"(corrected p {least(runs):.2g} at best for {figures} metrics); at least {needed} are needed"
        )
    return f"{runs} runs; p by permutation, corrected for {figures} metrics, significant at {LEVEL}"


def _oriented(value: float, better: Better) -> float:
    """So that higher is better."""
    return value if better == "higher" else -value if better == "lower" else -abs(value - 1)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _shared_way(runs: Sequence[Path], probe: str) -> dict[str, Json]:
    """By name of the run, its evaluation by `probe` in the way that most of these runs were evaluated in.

    Files are named after the protocol, `probe-KEY.json`; a share of the labels or another part of the run is named
    between the two, and is not meant here.
    """
    files = {run: [path.name for path in (run / "evaluations").glob(f"{probe}-*.json")] for run in runs}
    counts = Counter(name for names in files.values() for name in names if name.count("-") == 1)
    if not counts:
        return {}
    most = max(sorted(counts), key=lambda name: counts[name])
    return {run.name: read_object(run / "evaluations" / most) for run in runs if most in files[run]}

"""All tasks of a comparison in one plot: the probe's value with its interval, beside random weights and supervised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selftaught.report.blocks.figures import Figure, Line, look_of
from selftaught.report.facts.evaluations import Estimate, estimate, gain, metric_words, protocol_words
from selftaught.report.facts.read import Json
from selftaught.report.facts.references import RANDOM
from selftaught.report.facts.wording import metric_of, sentence

FEWEST = 3
"""Tasks from which a plot shows more than the table."""
GROUPS = (
    ("better than random weights", "--good", "circle"),
    ("cannot be distinguished from random weights", "--quiet", "circle"),
    ("worse than random weights", "--bad", "diamond"),
    ("tasks", "--c1", "circle"),
)
"""Name, colour and symbol of the tasks that are above, about at and below random weights, or not compared with them."""


def rank_figure(rows: Sequence[Json], references: Mapping[str, Json], *, of: str = "task") -> Figure | None:
    """One point a task, best on top; None for too few of them, and where no probe ranked them."""
    found = {str(row["task"]): row["probe"] for row in rows if row.get("probe")}
    values = {name: known for name, probe in found.items() if (known := estimate(probe, probe))}
    if len(values) < FEWEST:
        return None
    probe = next(iter(found.values()))
    lines = []
    for group, (title, colour, symbol) in enumerate(GROUPS):
        points = {name: known for name, known in values.items() if _group(gain(found[name])) == group}
        if points:
            lines.append(_points(title, points, colour=colour, symbol=symbol))
    ends = [next(iter(values)), list(values)[-1]]
    own = sum(name.startswith(RANDOM) for name in references) > 1
    for name, reference in references.items():
        if own and name.startswith(RANDOM):
            continue  # a line across all tasks would be of some of them alone
        if known := estimate(reference, probe):
            colour, dash = look_of(name) or ("--quiet", "dash")
            lines.append(Line(name=name, x=ends, y=[known.value, known.value], colour=colour, dash=dash))
    if own:
        random = {name: known for name, probe in found.items() if (known := estimate(probe.get("random"), probe))}
        bare = {name: Estimate(known.value) for name, known in random.items()}
        lines.append(_points(f"{RANDOM} of the same encoder and clips", bare, colour="--quiet", symbol="circle-open"))
    told = ["Bars: 95 % intervals over the test samples."] if any(e.interval for e in values.values()) else []
    if of == "run":
        told.append("Each run is compared with random weights of its own seed; the dashed line is those of the first.")
    unit = ", %" if metric_of(probe.get("metric")).percent else ""
    return Figure(
        title=sentence(f"{protocol_words(probe)}, best stage of each {of}"),
        lines=lines,
        note=" ".join(told),
        y_title=metric_words(probe) + unit,
        wide=True,
        across=True,
        order=list(values),
    )


def _group(found: Estimate | None) -> int:
    if found is None or found.is_distinct is None:
        return 3
    return 1 if not found.is_distinct else 0 if found.value > 0 else 2


def _points(title: str, points: Mapping[str, Estimate], *, colour: str, symbol: str) -> Line:
    return Line(
        name=title,
        x=list(points),
        y=[known.value for known in points.values()],
        bars=[known.interval for known in points.values()],
        names=[f"{name}: {known.value:.1f}" for name, known in points.items()],
        colour=colour,
        symbol=symbol,
        points_only=True,
    )

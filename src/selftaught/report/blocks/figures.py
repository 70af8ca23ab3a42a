"""The plots as plain values for Plotly.newPlot: no plotly objects, colours by the names style.css gives them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selftaught.report.facts.evaluations import data_name, metric_words, stage_estimates
from selftaught.report.facts.horizon import Horizon, horizons
from selftaught.report.facts.read import Columns, Json, Run, finite
from selftaught.report.facts.references import is_reference
from selftaught.report.facts.runs import heldout_metric
from selftaught.report.facts.wording import LABEL_FREE, Interval, is_share, metric_of, percent, sentence, spoken

COLOURS = 8
"""style.css has --c1 to --c8."""
MOST_POINTS = 600
"""Longer curves are drawn as the means of this many equal parts."""
REFRESHED = {
    "nmi_before": "Normalised mutual information with the pseudo-labels before; 1 when nothing changes any more.",
    "nmi_labels": "Normalised mutual information with the labels of the data; nothing learns from them.",
}
"""How to read metrics of refresh.csv."""
FEW_AT_A_TIME = f"The first {COLOURS} are drawn; the legend has the others, a click on a name shows its line."
"""Said under plots with more lines than colours."""
MOST_ALIKE = 3
"""Lines of random weights that are drawn at once, where each encoder has its own."""
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
_DASHES = ("solid", "dash", "dot")


def look_of(name: str) -> tuple[str, str] | None:
    """Colour and dash of what a line is compared with; None for the line of a task."""
    return (("--ink", "dot") if name == "supervised" else ("--quiet", "dash")) if is_reference(name) else None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a plot; x are numbers or stage names."""

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    colour: str = "--c1"
    dash: str = "solid"
    symbol: str | None = None
    faint: bool = False
    hidden: bool = False
    """Whether it is drawn only when its name in the legend is clicked."""
    bars: Sequence[Interval | None] = ()
    """Lower and upper end of the error bar of each point, where there is one."""
    points_only: bool = False
    """Whether the points are not joined; each is named by its `names`."""
    names: Sequence[str] = ()
    tiles: Sequence[int] = ()
    """Of each point, its number in the figure's `thumbs`."""


@dataclass(frozen=True, kw_only=True)
class Thumbs:
    """Small images in one, shown beside the pointer; the geometry is that of the file before it was made smaller.

    Attributes:
        image: as CSS has it, url(...) or var(...).
        side: of one tile, pixels.
        gap: between tiles, pixels.
        columns: tiles in a row.
        rows: of tiles.
    """

    picture: str
    side: int
    gap: int
    columns: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot with its title and, under it, one line on how to read it."""

    title: str
    lines: Sequence[Line]
    note: str = ""
    y_title: str = ""
    x_title: str = ""
    wide: bool = False
    from_zero: bool = False
    """Whether the y axis shows 0, for metrics with an absolute scale."""
    log_x: bool = False
    """Whether x is drawn on a logarithmic axis, with a tick at each of its values."""
    is_map: bool = False
    """Whether both axes are places without a unit, of the same scale."""
    across: bool = False
    """Whether each line's x, which are names, stand on the left from top to bottom, and its y are read to the right."""
    order: Sequence[str] = ()
    """The names along the axis, where the lines do not have them in order."""
    small: bool = False
    """Whether it is one of many, drawn without a legend."""
    thumbs: Thumbs | None = None

    def to_json(self) -> str:
        """The arguments of Plotly.newPlot and the legend as JSON without "<", safe inside a script element."""
        legend = [
            {"name": v.name, "colour": v.colour, "dash": v.dash, "symbol": (v.symbol or "") if v.points_only else ""}
            | ({"hidden": True} if v.hidden else {})
            for v in self.lines
        ]
        traces = [_turned(_trace(line)) if self.across else _trace(line) for line in self.lines]
        value: dict[str, Any] = {"data": traces, "layout": self._layout()}
        value |= {"legend": legend} | ({"thumbs": vars(self.thumbs)} if self.thumbs else {})
        return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")

    def _layout(self) -> dict[str, Any]:
        categories = bool(self.lines) and isinstance(self.lines[0].x[0] if self.lines[0].x else None, str)
        x = _axis(self.x_title)
        if categories:
            order = self.order or dict.fromkeys(str(x) for line in self.lines for x in line.x)
            x |= {"type": "category", "categoryorder": "array", "categoryarray": [_plain(s) for s in order]}
        if self.log_x:
            ticks = sorted({float(x) for line in self.lines for x in line.x})
            x |= {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.0f}" for tick in ticks]}
        y = _axis(self.y_title)
        # One value alone says nothing of a scale: Plotly would show 1 above and below it, whatever its size.
        lonely = len({value for line in self.lines for value in line.y}) == 1
        y["rangemode"] = "tozero" if self.from_zero or lonely else "normal"
        if self.across:
            y |= {"range": self._reach()}
            return {"xaxis": y, "yaxis": x | {"autorange": "reversed"}, "hovermode": "closest"}
        if self.small:
            few: dict[str, Any] = {"nticks": 4, "tickangle": 0}
            return {"xaxis": x | few, "yaxis": y | few, "margin": {"l": 36, "r": 12, "t": 6, "b": 22}}
        if self.is_map:
            bare = {"showgrid": False, "showticklabels": False, "ticks": "", "showline": False}
            x, y = x | bare | {"constrain": "domain"}, y | bare | {"scaleanchor": "x", "constrain": "domain"}
            return {"xaxis": x, "yaxis": y, "hovermode": "closest", "margin": {"l": 6, "r": 6, "t": 6, "b": 6}}
        return {"xaxis": x, "yaxis": y, **({"hovermode": "closest"} if any(v.points_only for v in self.lines) else {})}

    def _reach(self) -> list[float]:
        """Lowest and highest value with its bar and a small margin."""
        ends = [end for line in self.lines for end in [*line.y, *(e for bar in line.bars if bar for e in bar)]]
        room = 0.04 * (max(ends) - min(ends)) or 1.0
        return [min(ends) - room, max(ends) + room]


def stage_figure(
    results: Mapping[str, Json],
    evaluation: Json,
    *,
    title: str,
    wide: bool = True,
    tasks: Mapping[str, str] | None = None,
) -> Figure:
    """Accuracy by stage: one line a task, random weights dashed and the supervised encoder dotted.

    `tasks` names the task of each result, where several are of one: these have its colour and differ by their symbols.
    """
    lines: list[Line] = []
    task_of = {name: (tasks or {}).get(name, name) for name in results}
    names = [task for task in dict.fromkeys(task_of.values()) if not is_reference(task)]
    many = len(names) > COLOURS
    for name, result in results.items():
        stages = stage_estimates(result, evaluation)
        task = task_of[name]
        look = look_of(task)
        index = names.index(task) if task in names else 0
        alike = sum(look == look_of(line.name) if look else task_of[line.name] == task for line in lines)
        colour, dash = look or (colour_of(index), dash_of(index))
        symbol = _SYMBOLS[(index // COLOURS + alike) % len(_SYMBOLS)] + ("-open" if look else "")
        lines.append(
            Line(
                name=name,
                x=list(stages),
                y=[found.value for found in stages.values()],
                bars=[found.interval for found in stages.values()],
                colour=colour,
                dash=dash,
                symbol=symbol,
                hidden=index >= COLOURS or (look is not None and alike >= MOST_ALIKE),
            )
        )
    sizes = [f"{int(n):,} {what}" for what in ("train", "test") if (n := finite(evaluation.get(f"{what}_samples")))]
    chance = finite(evaluation.get("chance"))
    notes = [f"Frozen features of each stage, probed on {data_name(evaluation)}"]
    notes[0] += f" ({', '.join(sizes)})." if sizes else "."
    if wide:  # the small ones beside it are read the same way
        notes += ["Dashed: the same encoder with random weights, what a line has to rise above."]
        notes += ["Bars: 95 % intervals over the test samples."] if any(b for line in lines for b in line.bars) else []
        notes += [f"Chance is {percent(chance)}."] if chance is not None else []
        notes += ["Runs of one task share its colour."] if len(set(task_of.values())) < len(task_of) else []
        notes += [FEW_AT_A_TIME] if many else []
    unit = metric_words(evaluation) + (", %" if metric_of(evaluation.get("metric")).percent else "")
    return Figure(title=sentence(title), lines=lines, note=" ".join(notes), y_title=unit, x_title="stage", wide=wide)


def run_curves(run: Run) -> list[Figure]:
    """Loss, the task's metric and its other scalars over steps, training and held-out."""
    metric, _, chance = heldout_metric(run)
    figures = [_scalar(run, "loss", "Loss", None)] if "loss" in run.metrics or "loss" in run.heldout else []
    if metric in run.metrics or metric in run.heldout:
        figures.append(_scalar(run, metric, sentence(spoken(metric)), chance))
    known = {"step", "epoch", "loss", "lr", metric, *LABEL_FREE}
    for horizon in horizons(run.heldout):
        figures.append(_horizon(horizon))
        known |= horizon.columns
    others = [name for name in {**run.metrics, **run.heldout} if name not in known]
    figures += [_scalar(run, name, sentence(spoken(name)), None) for name in others]
    figures += [_refreshed(run, name) for name in run.refresh if name != "step"]
    if "lr" in run.metrics:
        figures.append(_scalar(run, "lr", "Learning rate", None))
    return [figure for figure in figures if figure.lines]


def label_free_curves(runs: Mapping[str, Columns]) -> list[Figure]:
    """RankMe, alignment, uniformity and standard deviation over steps: one line a run."""
    figures = []
    for column in LABEL_FREE:
        metric, lines = metric_of(column), []
        for index, (name, heldout) in enumerate(runs.items()):
            x, y = _points(heldout, column)
            if y:
                line = Line(name=name, x=x, y=y, colour=colour_of(index), dash=dash_of(index), symbol="circle")
                lines.append(replace(line, hidden=index >= COLOURS))
        if lines:
            note = sentence(metric.help) + "."
            note += f" {FEW_AT_A_TIME}" if len(runs) > COLOURS else ""
            figures.append(Figure(title=metric.words, lines=lines, note=note, x_title="step", from_zero=True))
    return figures


def metric_curves(runs: Mapping[str, Run]) -> list[Figure]:
    """Small multiples: each run's held-out pretext metric against its chance (tasks' metrics have no common scale)."""
    figures = []
    many = len(runs) > COLOURS
    for index, (name, run) in enumerate(runs.items()):
        metric, _, chance = heldout_metric(run)
        x, y = _points(run.heldout, metric)
        if y:
            lines = [
                Line(
                    name=f"held-out {spoken(metric)}",
                    x=x,
                    y=_scaled(metric, y),
                    colour=colour_of(index),
                    symbol="circle",
                )
            ]
            lines += _reference(metric, chance, x)
            unit = _unit(metric)
            if many:
                told = f"{spoken(metric)}{f', {unit}' if unit else ''}"
                figures.append(Figure(title=name, lines=lines, note=told, small=True))
            else:
                figures.append(Figure(title=name, lines=lines, y_title=unit, x_title="step"))
    return figures


def colour_of(index: int) -> str:
    """Colour of the index-th run of a page; the same in all its plots."""
    return f"--c{index % COLOURS + 1}"


def dash_of(index: int) -> str:
    """Tasks beyond the number of colours differ by their dashes."""
    return _DASHES[(index // COLOURS) % len(_DASHES)]


def _scalar(run: Run, name: str, title: str, reference: float | None) -> Figure:
    lines = []
    x, y = _points(run.metrics, name)
    held_x, held_y = _points(run.heldout, name)
    note = f"Training: means of {-(-len(y) // MOST_POINTS)} rows of metrics.csv." if len(y) > MOST_POINTS else ""
    x, y = _thinned(x), _thinned(y)
    if y:
        lines.append(Line(name="training", x=x, y=_scaled(name, y), colour="--c1", faint=bool(held_y)))
    if held_y:
        lines.append(Line(name="held-out", x=held_x, y=_scaled(name, held_y), colour="--c2", symbol="circle"))
    lines += _reference(name, reference, [*x, *held_x])
    return Figure(title=title, lines=lines, note=note, y_title=_unit(name), x_title="step")


def _horizon(horizon: Horizon) -> Figure:
    lines = []
    for name, values, colour, dash in (
        ("predicted", horizon.predicted, "--c2", "solid"),
        ("last frame copied", horizon.copied, "--quiet", "dash"),
    ):
        shown = {k: value for k, value in enumerate(values, start=1) if math.isfinite(value)}
        if shown:
            line = Line(name=name, x=list(shown), y=list(shown.values()), colour=colour, dash=dash, symbol="circle")
            lines.append(line)
    return Figure(
        title=f"{sentence(spoken(horizon.metric))} over the horizon",
        lines=lines,
        note="At the last held-out evaluation; above the dashed line is better than copying the last frame.",
        y_title=_unit(horizon.metric),
        x_title="predicted frame",
    )


def _refreshed(run: Run, name: str) -> Figure:
    x, y = _points(run.refresh, name)
    lines = [Line(name=spoken(name), x=x, y=y, colour="--c3", symbol="circle")] if y else []
    note = REFRESHED.get(name, "Each update of the pseudo-labels.")
    return Figure(title=sentence(spoken(name)), lines=lines, note=note, x_title="step")


def _reference(metric: str, chance: float | None, x: Sequence[float]) -> list[Line]:
    if chance is None or not x:
        return []
    # Of a single look the line would have no length.
    ends = [min(x) if min(x) < max(x) else min(0.0, x[0] - 1), max(x)]
    return [Line(name="chance", x=ends, y=_scaled(metric, [chance, chance]), colour="--quiet", dash="dash")]


def _points(columns: Columns, name: str) -> tuple[list[float], list[float]]:
    values = columns.get(name, ())
    steps = columns.get("step") or tuple(float(i) for i in range(len(values)))
    pairs = [(x, y) for x, y in zip(steps, values, strict=False) if math.isfinite(x) and math.isfinite(y)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _thinned(values: list[float]) -> list[float]:
    part = -(-len(values) // MOST_POINTS)
    if part <= 1:
        return values
    return [sum(values[i : i + part]) / len(values[i : i + part]) for i in range(0, len(values), part)]


def _scaled(metric: str, values: Sequence[float]) -> list[float]:
    return [100 * v for v in values] if is_share(metric) else list(values)


def _unit(metric: str) -> str:
    return "%" if is_share(metric) else "dB" if "psnr" in metric else ""


def _axis(title: str) -> dict[str, Any]:
    # Plotly keeps room for a title that is there, even an empty one.
    return {"automargin": True} | ({"title": {"text": _plain(title), "standoff": 8}} if title else {})


def _plain(text: str) -> str:
    # Plotly reads a small HTML in its texts; entities make a class or stage named "<b>" stay text.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("var(--", "var&#40;--")  # script.js takes that for a colour of style.css


def _trace(line: Line) -> dict[str, Any]:
    stroke = {"color": f"var({line.colour})", "width": 1.5 if line.faint else 2, "dash": line.dash}
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": _plain(line.name),
        "x": [_plain(x) if isinstance(x, str) else _short(x) for x in line.x],
        "y": [_short(y) for y in line.y],
        # A line of one point would not be seen.
        "mode": "lines+markers" if line.symbol or len(line.x) == 1 else "lines",
        "line": stroke,
        "opacity": 0.55 if line.faint else 1,
        # In a template %{x} stands for a value.
        "hovertemplate": "%{y:.4~g}<extra>" + _plain(line.name).replace("%", "&#37;") + "</extra>",
    }
    if line.points_only:
        trace["mode"] = "markers"
        trace["text"] = [_plain(name) for name in line.names]
        trace["customdata"] = list(line.tiles)
        trace["hovertemplate"] = "%{text}<extra></extra>"
    if line.symbol:
        is_single = (
            any(line.bars) or isinstance(line.x[0] if line.x else 0, str) or (line.points_only and not line.tiles)
        )
        size = 8 if is_single or line.symbol == "circle-open" else 5
        trace["marker"] = {"color": f"var({line.colour})", "size": size, "symbol": line.symbol}
    if any(line.bars):
        ends = [(bar or (y, y)) for bar, y in zip(line.bars, line.y, strict=True)]
        trace["error_y"] = {
            **{"type": "data", "symmetric": False, "color": f"var({line.colour})", "thickness": 1.2, "width": 4},
            "array": [_short(high - y) for (_, high), y in zip(ends, line.y, strict=True)],
            "arrayminus": [_short(y - low) for (low, _), y in zip(ends, line.y, strict=True)],
        }
    return trace


def _turned(trace: dict[str, Any]) -> dict[str, Any]:
    """The trace with x and y in each other's place."""
    places = {"x": "y", "y": "x", "error_y": "error_x"}
    turned = {places.get(name, name): value for name, value in trace.items()}
    if trace["mode"] == "lines":
        turned["hovertemplate"] = turned["hovertemplate"].replace("%{y:", "%{x:")
    return turned


def _short(value: float) -> float | None:
    # Six digits are more than a screen shows and halve the page's numbers.
    return float(f"{value:.6g}") if math.isfinite(value) else None

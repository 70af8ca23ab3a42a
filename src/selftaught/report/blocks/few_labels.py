"""Accuracy over the number of labels: how many of them pretraining saves."""

from __future__ import annotations

from selftaught.report.blocks.figures import Figure, Line
from selftaught.report.facts.evaluations import metric_words, protocol_words
from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.wording import Interval, metric_of, sentence


def few_labels_figure(evaluation: Json, *, name: str = "") -> Figure:
    """Curves of the encoder, random weights (from scratch where the protocol trains them) and the supervised encoder.

    Over a logarithmic axis of labels; bars are one standard deviation over the draws of the labels. `name` tells whose
    it is where several are shown.
    """
    rows = sorted(evaluation.get("few_labels") or [], key=lambda row: finite(row.get("train_samples")) or 0.0)
    scratch = bool(evaluation.get("labels_saved"))
    looks = (
        ("encoder", "pretrained", "--c1", "solid", "circle"),
        ("random", "from scratch" if scratch else "random weights", "--quiet", "dash", "circle-open"),
        ("supervised", "supervised", "--ink", "dot", "circle-open"),
    )
    lines = []
    for key, words, colour, dash, symbol in looks:
        x, y, bars = _curve(rows, key)
        if x:
            lines.append(Line(name=words, x=x, y=y, bars=bars, colour=colour, dash=dash, symbol=symbol))
    notes = ["The further left a curve reaches a given value, the fewer labels it needs for it."]
    if any(bar for line in lines for bar in line.bars):
        notes.append("Bars: one standard deviation over the draws of the labels.")
    unit = ", %" if metric_of(evaluation.get("metric")).percent else ""
    title = sentence(f"{protocol_words({'probe': evaluation.get('probe')})}, {metric_words(evaluation)} by labels")
    return Figure(
        title=f"{name}: {title}" if name else title,
        lines=lines,
        note=" ".join(notes),
        y_title=metric_words(evaluation) + unit,
        x_title="labels",
        wide=True,
        log_x=True,
    )


def _curve(rows: list[Json], key: str) -> tuple[list[float], list[float], list[Interval | None]]:
    x: list[float] = []
    y: list[float] = []
    bars: list[Interval | None] = []
    for row in rows:
        result = row.get(key) or {}
        labels, value, spread = (
            finite(row.get("train_samples")),
            finite(result.get("value")),
            finite(result.get("spread")),
        )
        if labels and value is not None:
            x.append(labels)
            y.append(value)
            bars.append(None if spread is None else (value - spread, value + spread))
    return x, y, bars

"""The same tables in a terminal, with rich; text for people, so to stderr unless told otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from selftaught.report.answer import gain, metric_words, number, percent, points, precise, pretext, probe_words
from selftaught.report.read import finite
from selftaught.report.tables import stage_names, stage_rows

Row = tuple[str, Sequence[str | tuple[str, str]], bool]
"""First cell, the others as text or (text, style), and whether the row is a quiet reference."""


def print_evaluation(evaluation: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print what `evaluate` returned: one row each for the encoder, random weights and the supervised encoder."""
    name = str(evaluation.get("encoder", "encoder"))
    rows = stage_rows({name: evaluation})
    stages = stage_names(rows.values())
    chance = percent(finite(evaluation.get("chance")))
    title = f"{probe_words(evaluation)}, {metric_words(evaluation)} in %, chance {chance}"
    body: list[Row] = []
    for label, result in rows.items():
        values = result.get("stages") or {}
        cells = [_cell(values.get(s), bold=s == result.get("stage")) for s in stages]
        body.append((label, [*cells, percent(finite(result.get("value")))], label == "random weights"))
    difference = gain(evaluation)
    caption = f"best stage against random weights: {points(difference)} points" if difference is not None else ""
    _print(title, ["", *stages, "best"], body, caption, file)


def print_comparison(compare: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print the table of `compare`, best task first."""
    rows = sorted(compare.get("rows", []), key=lambda row: finite(row.get("rank")) or float("inf"))
    probed = any(row.get("probe") for row in rows)
    head = ["", "task"] + (["probe", "stage", "vs random"] if probed else [])
    head += ["pretext", "chance", "RankMe", "alignment", "uniformity", "images/s", "steps"]
    body: list[Row] = []
    for row in rows:
        probe, metric = row.get("probe") or {}, str(row.get("metric", ""))
        cells = [str(row.get("task"))]
        if probed:
            cells += [percent(finite(probe.get("value"))), str(probe.get("stage", "–")), points(gain(probe))]
        cells += [pretext(metric, finite(row.get(key))) for key in ("pretext_value", "pretext_chance")]
        cells += [precise(finite(row.get(k))) for k in ("rankme", "alignment", "uniformity")]
        cells += [number(finite(row.get(k))) for k in ("images_per_second", "steps")]
        body.append((str(row.get("rank", "")), cells, False))
    if probed and isinstance(random := compare.get("random"), Mapping) and random.get("value") is not None:
        cells = ["random weights", percent(finite(random["value"])), str(random.get("stage", "–"))]
        body.append(("", [*cells, *[""] * (len(head) - 1 - len(cells))], True))
    caption = "" if probed else "no labels given: ranked by the label-free figures; --labelled ranks by a probe"
    _print(f"which pretext task suits {compare.get('data')}", head, body, caption, file)


def _cell(value: object, *, bold: bool) -> tuple[str, str]:
    number_ = finite(value)
    return ("–" if number_ is None else f"{number_:.1f}", "bold" if bold else "")


def _print(
    title: str,
    head: Sequence[str],
    rows: Sequence[Row],
    caption: str,
    file: TextIO | None,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, not str: rich would read a task or stage named "[red]" as markup.
    table = Table(
        title=Text(title), caption=Text(caption) if caption else None, box=box.SIMPLE_HEAD, title_justify="left"
    )
    for index, name in enumerate(head):
        left = index == 0 or name in ("task", "stage")
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=True)
    for label, cells, quiet in rows:
        texts = [Text(c) if isinstance(c, str) else Text(c[0], style=c[1]) for c in cells]
        table.add_row(Text(label), *texts, style="dim" if quiet else None)
    target = file or sys.stderr
    # A pipe or a log has no width of its own: print whole rows there instead of cutting at 80.
    Console(file=target, width=None if target.isatty() else 160, highlight=False).print(table)

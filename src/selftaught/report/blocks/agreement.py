"""Whether metrics without labels rank the runs as a probe with labels does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from selftaught.report.blocks.document import Block
from selftaught.report.blocks.figures import Figure, Line, colour_of
from selftaught.report.facts.cells import Cell, Table, figure, words
from selftaught.report.facts.read import finite
from selftaught.report.facts.wording import between, interval_in, metric_of, sentence

LEVEL = 0.05
"""The corrected p from which `selftaught agreement` gives a verdict."""


def agreement_blocks(agreement: Any) -> list[Block]:
    """The table of correlations, and a plot of each metric against the probe: one point a run.

    Both again by the probe's value at the last stage, which the metrics are of, where the best one is another.
    """
    if not isinstance(agreement, Mapping) or not agreement.get("rows"):
        return []
    blocks: list[Block] = [agreement_table(agreement), *_plots(agreement)]
    last = agreement.get("last_stage")
    if isinstance(last, Mapping) and last.get("rows"):
        last = {**agreement, **last}
        blocks += [agreement_table(last, of=", last stage, which the metrics are of"), *_plots(last)]
    return blocks


def _plots(agreement: Mapping[str, Any]) -> list[Block]:
    """None where the runs are too few for any verdict: a dozen plots would look like evidence."""
    rows = agreement["rows"]
    runs = int(max(finite(row.get("runs")) or 0 for row in rows))
    # The smallest corrected p of so many runs: one order of all of them, and its reverse.
    is_enough = 2 * len(rows) / math.factorial(min(runs, 20)) <= LEVEL
    return [agreement_figures(agreement)] if is_enough else []


def agreement_table(agreement: Mapping[str, Any], of: str = "") -> Table:
    """Spearman's and Kendall's coefficient of each metric with the probe, over the runs."""
    rows = []
    for row in agreement["rows"]:
        verdict = str(row.get("verdict") or "")
        rows.append(
            [
                *(words(metric_of(row.get("figure")).words), words(row.get("better")), figure(row.get("runs"))),
                _coefficient(row.get("spearman"), row.get("interval")),
                *(_p(row.get("p_holm")), _coefficient(row.get("kendall"), None)),
                Cell(text=sentence(verdict) or "–", tone="unsure" if verdict == "cannot tell" else ""),
            ]
        )
    head = ["Figure", "Better is", "Runs", "Spearman ρ", "p, corrected", "Kendall τ", "Ranks as the probe does"]
    return Table(
        title=f"Agreement with the {agreement.get('probe', 'linear')} probe{of}",
        head=head,
        rows=rows,
        text=(0, 1, 6),
        note=str(agreement.get("note") or ""),
    )


def agreement_figures(agreement: Mapping[str, Any]) -> list[Figure]:
    """The probe's value over each metric."""
    figures = []
    unit = metric_of(agreement.get("metric", "top1"))
    for row in agreement["rows"]:
        name = str(row.get("figure"))
        pairs = [
            (str(p.get("run")), x, y)
            for p in agreement.get("points") or []
            if (x := finite((p.get("figures") or {}).get(name))) is not None
            and (y := finite(p.get("probe"))) is not None
        ]
        if pairs:
            line = Line(
                name="runs",
                x=[x for _, x, _ in pairs],
                y=[y for _, _, y in pairs],
                points_only=True,
                names=[run for run, _, _ in pairs],
                colour=colour_of(0),
                symbol="circle",
            )
            title = metric_of(name).words
            y_title = unit.words + (", %" if unit.percent else "")
            figures.append(
                Figure(title=f"{title}, better is {row.get('better')}", lines=[line], x_title=title, y_title=y_title)
            )
    return figures


def _coefficient(value: Any, interval: Any) -> Cell:
    known, ends = finite(value), interval_in(interval)
    if known is None:
        return words("")
    return Cell(text=f"{known:+.2f}".replace("-", "−"), value=known, interval=ends, within=between(ends, "rankme"))


def _p(value: Any) -> Cell:
    known = finite(value)
    return words("") if known is None else Cell(text="< 0.001" if known < 0.001 else f"{known:.3f}", value=known)

"""The same tables in a terminal, with rich, by default on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from selftaught.report.blocks.tables import stage_names, stage_rows
from selftaught.report.facts.answer import ranked
from selftaught.report.facts.evaluations import Estimate, behind, estimate, gain, metric_words, protocol_words
from selftaught.report.facts.read import finite
from selftaught.report.facts.references import random_references
from selftaught.report.facts.runs import unit_of_all
from selftaught.report.facts.savings import labels_table
from selftaught.report.facts.wording import between, gained, interval_in, measured, metric_of, number, precise, pretext

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = tuple[str, Sequence[str | tuple[str, str]], bool]
"""First cell, the others as text or (text, style), and whether the row is a quiet reference."""


def print_evaluation(evaluation: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print what `evaluate` returned: one row each for the encoder, random weights and the supervised encoder."""
    name, metric = str(evaluation.get("encoder", "encoder")), evaluation.get("metric")
    if finite(evaluation.get("value")) is None and evaluation.get("files"):
        print(f"images of {name}, no metric; see them {_where(evaluation)}", file=file or sys.stderr)
        return
    if evaluation.get("probe") == "label_free":
        _print_label_free(name, evaluation, file)
        return
    rows = stage_rows({name: evaluation})
    stages = stage_names(rows.values())
    unit = " in %" if metric_of(metric).percent else ""
    chance = finite(evaluation.get("chance"))
    title = f"{protocol_words(evaluation)}, {metric_words(evaluation)}{unit}"
    title += f", chance {measured(metric, chance)}" if chance is not None else ""
    body: list[Row] = []
    for label, result in rows.items():
        values, best = result.get("stages") or {}, estimate(result, evaluation)
        cells = [_cell(metric, values.get(s), bold=s == result.get("stage")) for s in stages]
        ends = [measured(metric, best.value), between(best.interval, metric)] if best else ["–", ""]
        body.append((label, [*cells, *ends], label == "random weights"))
    found = gain(evaluation)
    caption = f"best stage against random weights: {_gap(metric, found)}" if found is not None else ""
    _print(title, ["", *stages, "best", "95 %"], body, caption, file, is_turnable=True)
    if (table := labels_table(evaluation)) is not None:
        body = [(row[0].text, [cell.text for cell in row[1:]], False) for row in table.rows]
        _print(table.title, table.head, body, table.note, file)


def _where(evaluation: Mapping[str, Any]) -> str:
    """How to see what was drawn: a page is made of run folders only, which a folder given by --out need not be."""
    folder = Path(str(evaluation.get("folder") or evaluation.get("run")))
    if (folder / "config.json").is_file():
        return f"with: selftaught report {folder}"
    return "in " + " and ".join(str(folder / "evaluations" / at) for at in evaluation["files"].values())


def _print_label_free(name: str, evaluation: Mapping[str, Any], file: TextIO | None) -> None:
    """One row a metric: of the encoder and of random weights, with intervals; under it what to be careful about."""
    body: list[Row] = []
    own, random = (((result or {}).get("more") or {}) for result in (evaluation, evaluation.get("random")))
    for figure, entry in (own.get("figures") or {}).items():
        cells = []
        for found in (entry, (random.get("figures") or {}).get(figure) or {}):
            cells += [precise(finite(found.get("value"))), between(interval_in(found.get("interval")), figure)]
        body.append((metric_of(figure).words, cells, False))
    head = ["", name, "95 %", "random weights", "95 %"]
    _print(protocol_words(evaluation), head, body, "\n".join(map(str, own.get("cautions") or [])), file)


def print_comparison(compare: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print the table of `compare`, best task first; what cannot be distinguished from the best is marked ≈."""
    rows = ranked(compare)
    probed, speed = any(row.get("probe") for row in rows), f"{unit_of_all(rows)}/s"
    head = ["", "task"] + (["probe", "95 %", "stage", "vs random", "vs first"] if probed else [])
    head += ["pretext", "chance", "RankMe", "alignment", "uniformity", speed, "steps"]
    body: list[Row] = []
    for row in rows:
        probe, metric = row.get("probe") or {}, str(row.get("metric", ""))
        cells = [str(row.get("task"))]
        if probed:
            cells += _probe_cells(row, rows[0])
        cells += [pretext(metric, finite(row.get(key))) for key in ("pretext_value", "pretext_chance")]
        cells += [precise(finite(row.get(k))) for k in ("rankme", "alignment", "uniformity")]
        cells += [number(finite(row.get(k))) for k in ("images_per_second", "steps")]
        body.append((str(row.get("rank", "")), cells, False))
    references = random_references(compare, rows) if probed else {}
    for name, random in references.items():
        probe = next(row["probe"] for row in rows if row.get("probe"))
        best = estimate(random, probe)
        ends = [measured(probe.get("metric"), best.value), between(best.interval)] if best else ["–", ""]
        cells = [name, *ends, str(random.get("stage", "–"))]
        body.append(("", [*cells, *[""] * (len(head) - 1 - len(cells))], True))
    told = ["≈ cannot be distinguished from the first"] if any("≈" in c for _, cells, _ in body for c in cells) else []
    told += (
        ["vs random: each task against its own encoder and clips with random weights"] if len(references) > 1 else []
    )
    caption = "; ".join(told)
    caption = caption if probed else "no labels given: ranked by the label-free metrics; --labelled ranks by a probe"
    spare = ["uniformity", "alignment", speed, "chance", *(["RankMe"] if probed else []), "pretext"]
    spare += ["stage", "steps", "vs first", "95 %"]
    _print(f"which pretext task suits {compare.get('data')}", head, body, caption, file, spare=spare)


def _probe_cells(row: Mapping[str, Any], first: Mapping[str, Any]) -> list[str]:
    probe = row.get("probe") or {}
    metric, value, gap = probe.get("metric"), estimate(probe, probe), behind(row, first)
    cells = [measured(metric, value.value if value else None), between(value.interval if value else None, metric)]
    above = gain(probe)
    cells += [str(probe.get("stage") or "–"), gained(metric, above.value if above else None)]
    if gap is None:
        return [*cells, ""]
    return [*cells, ("≈ " if gap.is_distinct is False else "") + gained(metric, -gap.value)]


def _gap(metric: object, found: Estimate) -> str:
    unit = " points" if metric_of(metric).percent else ""
    ends = f" ({between(found.interval, metric)})" if found.interval else ""
    return f"{gained(metric, found.value)}{unit}{ends}"


def _cell(metric: object, value: object, *, bold: bool) -> tuple[str, str]:
    known = finite(value)
    return (measured(metric, known).removesuffix(" %"), "bold" if bold else "")


def _print(
    title: str,
    head: Sequence[str],
    rows: Sequence[Row],
    caption: str,
    file: TextIO | None,
    *,
    spare: Sequence[str] = (),
    is_turnable: bool = False,
) -> None:
    """Print a table whole; where the terminal is too narrow, without the first ones of `spare` that make it fit.

    A turnable table that is too wide is printed with a row for each of its columns.
    """
    from rich.console import Console

    target = file or sys.stderr
    # A pipe or a log has no width of its own: print whole rows there instead of cutting at 80.
    console = Console(file=target, width=None if target.isatty() else 160, highlight=False)
    left_out: list[str] = []
    table = _table(title, head, rows, caption)
    if is_turnable and not _fits(console, table):
        columns = [(name, [cells[at] for _, cells, _ in rows], False) for at, name in enumerate(head[1:])]
        table = _table(title, ["stage", *(label for label, _, _ in rows)], columns, caption)
    for name in spare:
        if _fits(console, table):
            break
        if name in head:
            at = head.index(name)
            head = [*head[:at], *head[at + 1 :]]
            rows = [(label, [*cells[: at - 1], *cells[at:]], quiet) for label, cells, quiet in rows]
            left_out.append(name)
            told = f"left out, as the terminal is narrow: {', '.join(left_out)}"
            table = _table(title, head, rows, f"{caption}\n{told}".strip())
    console.print(table)


def _fits(console: Console, table: Table) -> bool:
    return console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width


def _table(title: str, head: Sequence[str], rows: Sequence[Row], caption: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Text, not str: rich would read a task or stage named "[red]" as markup.
    table = Table(
        title=Text(title), caption=Text(caption) if caption else None, box=box.SIMPLE_HEAD, title_justify="left"
    )
    for index, name in enumerate(head):
        left = index == 0 or name in ("task", "stage")
        # Names of runs and combinations may be longer than a terminal is wide; metrics stay whole.
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for label, cells, quiet in rows:
        texts = [Text(c) if isinstance(c, str) else Text(c[0], style=c[1]) for c in cells]
        table.add_row(Text(label), *texts, style="dim" if quiet else None)
    return table

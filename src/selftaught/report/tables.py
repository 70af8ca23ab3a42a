"""The tables of the report as Markdown: tasks by stages, and rows of anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from selftaught.report.read import finite


def stage_names(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """All stages of these results, in the encoder's order."""
    names: dict[str, None] = {}
    for result in results:
        names.update(dict.fromkeys(result.get("stages") or {}))
    return list(names)


def stage_rows(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows of a table by stage: random weights first, then the evaluations by their given names, then supervised."""
    rows: dict[str, Mapping[str, Any]] = {}
    for title, key in (("random weights", "random"), ("", ""), ("supervised", "supervised")):
        found = evaluations if not key else {title: next((e[key] for e in evaluations.values() if e.get(key)), None)}
        rows.update({name: result for name, result in found.items() if result})
    return rows


def stage_table_markdown(evaluations: Mapping[str, Mapping[str, Any]], *, digits: int = 1) -> str:
    """Markdown of tasks by stages from `evaluate`'s results by row name; values in percent, the best of a row is bold.

    The last column is the best stage's gain over the best stage of random weights, in points.
    """
    rows = stage_rows(evaluations)
    stages = stage_names(rows.values())
    floor = finite(rows.get("random weights", {}).get("value"))
    lines = []
    for name, result in rows.items():
        values = {s: finite(v) for s, v in (result.get("stages") or {}).items()}
        best = max((v for v in values.values() if v is not None), default=None)
        cells = [_value(values.get(stage), digits, bold=values.get(stage) == best) for stage in stages]
        value = finite(result.get("value"))
        gain = (
            f"{value - floor:+.{digits}f}"
            if value is not None and floor is not None and name != "random weights"
            else ""
        )
        lines.append([name, *cells, gain])
    return markdown_table(["", *stages, "best − random"], lines)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, first column left and the others right aligned; padded so that it reads as plain text too."""
    cells = [[_plain(c) for c in head], *([_plain(c) for c in row] for row in rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(head))]
    lines = [
        "| "
        + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in cells
    ]
    rule = "|" + "|".join(("-" * (w + 2)) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _value(value: float | None, digits: int, *, bold: bool) -> str:
    if value is None:
        return "–"
    return f"**{value:.{digits}f}**" if bold else f"{value:.{digits}f}"


def _plain(cell: object) -> str:
    return " ".join(str(cell).split()).replace("|", "\\|")

"""One self-contained HTML page from a run, a comparison or a folder of runs: the answer first, then the evidence."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from selftaught.report import sections as part
from selftaught.report.answer import (
    Answer,
    answer_comparison,
    answer_run,
    gain,
    heldout_metric,
    main_evaluation,
    metric_words,
    number,
    percent,
    points,
    precise,
    pretext,
    probe_words,
    ranked,
)
from selftaught.report.figures import label_free_curves, metric_curves, stage_figure
from selftaught.report.read import Collection, Comparison, Json, Run, finite, read_folder
from selftaught.report.sections import Cell, esc, figure_cell, section
from selftaught.report.tables import stage_rows

Part = tuple[str, str, str]
"""Anchor, title and body of a section."""


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a run folder, a comparison folder or a folder of run folders; return its path.

    `out` is the HTML file, or an existing folder to put report.html in; default: report.html in `folder`.
    """
    folder = Path(folder)
    found = read_folder(folder)
    target = folder / "report.html" if out is None else Path(out)
    if target.is_dir():
        target = target / "report.html"
    if isinstance(found, Comparison):
        html = _comparison_page(found)
    elif isinstance(found, Collection):
        html = _collection_page(found)
    else:
        html = _run_page(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(target)
    return target


def _run_page(run: Run) -> str:
    parts = _run_parts(run, prefix="")
    top = _top(answer_run(run), f"Run {_name(run.folder)}", _run_line(run), run.summary.get("warnings") or [])
    return _document(f"{run.task}: {_name(run.folder)}", top, parts)


def _collection_page(collection: Collection) -> str:
    head = [
        "Run",
        "Task",
        "Encoder",
        "Held-out metric",
        "Chance",
        "Probe",
        "Best stage",
        "Gain, points",
        "RankMe",
        "Seed",
    ]
    rows = [_overview_row(run) for run in collection.runs]
    gains = [
        (gain(e), run) for run in collection.runs if (e := main_evaluation(run.evaluations)) and gain(e) is not None
    ]
    best = max(gains, key=lambda pair: pair[0] or 0.0, default=None)
    count = f"{len(collection.runs)} runs" if len(collection.runs) != 1 else "1 run"
    headline = f"{count}; none has been probed yet." if best is None else (
        f"{count}; {_name(best[1].folder)} gains most over random weights: {points(best[0])} points."
    )  # fmt: skip
    top = _top(Answer(headline=headline, facts=()), f"Runs in {_name(collection.folder)}", "", [])
    parts = [("overview", "Overview", part.table_html(head, rows, text=(0, 1, 2, 6)))]
    parts += [(_anchor(run), _name(run.folder), _run_article(run)) for run in collection.runs]
    return _document(_name(collection.folder), top, parts)


def _comparison_page(comparison: Comparison) -> str:
    table, rows = comparison.table, ranked(comparison)
    by_folder = {run.folder.name: run for run in comparison.runs}
    runs = {str(r.get("task")): by_folder[n] for r in rows if (n := str(r.get("run") or r.get("task"))) in by_folder}
    line = [("data", table.get("data")), ("encoder", table.get("encoder")), ("size", _with(table.get("size"), " px"))]
    line += [("budget", _with(table.get("budget"), " a task")), ("seed", table.get("seed"))]
    warned = [f"{name}: {text}" for name, run in runs.items() for text in run.summary.get("warnings") or []]
    top = _top(answer_comparison(comparison), "Which pretext task suits these data", _line(line), warned)
    parts = [("ranking", "Ranking", _ranking(table, rows, runs))]
    parts.append(("stages", "Accuracy by stage", _stages(table, rows)))
    parts.append(("curves", "Pretext metric on held-out data", part.figures_html(metric_curves(runs))))
    health = part.figures_html(label_free_curves({name: run.heldout for name, run in runs.items()}))
    parts.append(("label-free", "Quality without labels", health))
    parts += [(_anchor(run), name, _run_article(run, probed=False)) for name, run in runs.items()]
    settings = {k: v for k, v in table.items() if k not in ("rows", "random", "supervised")}
    parts.append(("settings", "Settings", part.details_html("Settings of the comparison", settings)))
    return _document(f"Pretext tasks on {table.get('data', comparison.folder.name)}", top, parts)


def _ranking(table: Json, rows: Sequence[Json], runs: Mapping[str, Run]) -> str:
    probed = any(row.get("probe") for row in rows)
    head = ["Rank", "Task", *(["Probe", "Best stage", "Gain, points"] if probed else [])]
    head += ["Pretext", "Chance", "RankMe", "Alignment", "Uniformity", "Images/s", "Steps"]
    body: list[list[Cell | str]] = []
    for row in rows:
        name, metric, probe = str(row.get("task")), str(row.get("metric", "")), row.get("probe") or {}
        cells: list[Cell | str] = [figure_cell(row.get("rank"))]
        cells.append(Cell(name, href=f"#{_anchor(runs[name])}" if name in runs else ""))
        if probed:
            cells += [
                figure_cell(probe.get("value"), percent(finite(probe.get("value")))),
                str(probe.get("stage") or "–"),
            ]
            cells.append(figure_cell(gain(probe), points(gain(probe))))
        value, chance = finite(row.get("pretext_value")), finite(row.get("pretext_chance"))
        cells.append(figure_cell(value, f"{pretext(metric, value)} {metric.replace('_', ' ')}"))
        cells.append(figure_cell(chance, pretext(metric, chance)))
        cells += [figure_cell(v := row.get(k), precise(finite(v))) for k in ("rankme", "alignment", "uniformity")]
        cells += [figure_cell(row.get(k)) for k in ("images_per_second", "steps")]
        body.append(cells)
    quiet = []
    for name, result in _references(table, rows).items() if probed else ():
        quiet.append(len(body))
        value = finite(result.get("value"))
        cells = ["–", name, figure_cell(value, percent(value)), str(result.get("stage") or "–")]
        body.append([*cells, *["–"] * (len(head) - len(cells))])
    note = "" if probed else part.absent(
        "Ranked by the label-free figures, since no labels were given; to rank by a probe:",
        f"selftaught compare {table.get('data', 'DATA')} --labelled LABELLED ...",
    )  # fmt: skip
    return part.table_html(head, body, quiet=quiet, text=(0, 1, 3) if probed else (0, 1)) + note


def _stages(table: Json, rows: Sequence[Json]) -> str:
    probes = {str(row["task"]): row["probe"] for row in rows if row.get("probe")}
    if not probes:
        return ""
    first = next(iter(probes.values()))
    references = _references(table, rows)
    results = {k: v for k, v in (("random weights", references.get("random weights")), *probes.items()) if v}
    if "supervised" in references:
        results["supervised"] = references["supervised"]
    title = f"{probe_words(first)}, {metric_words(first)} by stage"
    return part.figures_html([stage_figure(results, first, title=title)])


def _references(table: Json, rows: Sequence[Json]) -> dict[str, Json]:
    probes = {str(row["task"]): row["probe"] for row in rows if row.get("probe")}
    found = {k: v for k, v in stage_rows(probes).items() if k in ("random weights", "supervised")}
    for name, key in (("random weights", "random"), ("supervised", "supervised")):
        if isinstance(table.get(key), Mapping) and table[key].get("value") is not None:
            found[name] = table[key]
    return found


def _run_parts(run: Run, *, prefix: str, probed: bool = True) -> list[Part]:
    return [
        (f"{prefix}worth", "What the features are worth", part.worth_html(run) if probed else ""),
        (f"{prefix}sees", "What the task sees", part.samples_html(run.pictures)),
        (f"{prefix}curves", "Learning curves", part.curves_html(run)),
        (f"{prefix}label-free", "Quality without labels", part.health_html(run) if probed else ""),
        (f"{prefix}neighbours", "Nearest neighbours", part.neighbours_html(run.pictures)),
        (f"{prefix}kernels", "First-layer kernels", part.kernels_html(run.pictures)),
        (f"{prefix}skipped", "Skipped files", part.skipped_html(run)),
        (f"{prefix}repeat", "To repeat it", part.repeat_html(run)),
    ]


def _run_article(run: Run, *, probed: bool = True) -> str:
    lead = part.answer_html(answer_run(run), heading="p") if probed else ""
    warned = part.warnings_html(run.summary.get("warnings") or []) if probed else ""
    inner = "".join(
        section(t, b, anchor=a, level=3) for a, t, b in _run_parts(run, prefix=f"{_anchor(run)}-", probed=probed)
    )
    return f'<p class="line">{esc(_run_line(run))}</p>{lead}{warned}{inner}'


def _overview_row(run: Run) -> list[Cell | str]:
    metric, value, chance = heldout_metric(run)
    probe = main_evaluation(run.evaluations) or {}
    rank = run.heldout.get("rankme") or (float("nan"),)
    return [
        Cell(_name(run.folder), href=f"#{_anchor(run)}"),
        run.task,
        run.encoder,
        figure_cell(value, pretext(metric, value)),
        figure_cell(chance, pretext(metric, chance)),
        figure_cell(probe.get("value"), percent(finite(probe.get("value")))),
        str(probe.get("stage") or "–"),
        figure_cell(gain(probe), points(gain(probe))),
        figure_cell(rank[-1], precise(finite(rank[-1]))),
        figure_cell(run.config.get("seed")),
    ]


def _run_line(run: Run) -> str:
    s = run.summary
    seconds = finite(s.get("seconds"))
    return _line([
        ("", run.task), ("", run.encoder), ("", _with(run.config.get("size"), " px")),
        ("", _with(_count(s.get("train_samples")), " samples")), ("", _with(_count(s.get("epochs")), " epochs")),
        ("", _with(_count(s.get("steps")), " steps")), ("", _duration(seconds) if seconds else None),
        ("", _with(_count(s.get("images_per_second")), " images/s")), ("seed", run.config.get("seed")),
    ])  # fmt: skip


def _line(pairs: Sequence[tuple[str, Any]]) -> str:
    return " · ".join(f"{name} {value}".strip() for name, value in pairs if value is not None)


def _with(value: object, unit: str) -> str | None:
    return None if value is None else f"{value}{unit}"


def _count(value: object) -> str | None:
    known = finite(value)
    return None if known is None else number(round(known, 1) if known < 100 else round(known))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _name(folder: Path) -> str:
    return folder.resolve().name


def _anchor(run: Run) -> str:
    return "run-" + (re.sub(r"[^A-Za-z0-9_-]+", "-", _name(run.folder)) or "x")


def _top(answer: Answer, eyebrow: str, line: str, warnings: Sequence[object]) -> str:
    settings = f'<p class="line">{esc(line)}</p>' if line else ""
    return f'<p class="eyebrow">{esc(eyebrow)}</p>{part.answer_html(answer)}{settings}{part.warnings_html(warnings)}'


def _document(title: str, top: str, parts: Sequence[Part]) -> str:
    # plotly.offline only to find its plotly.js; the figures themselves are plain JSON.
    from plotly.offline import get_plotlyjs

    here = resources.files("selftaught.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    shown = [(a, t, b) for a, t, b in parts if b]
    links = "".join(f'<a href="#{esc(a)}">{esc(t)}</a>' for a, t, _ in shown)
    body = "".join(section(t, b, anchor=a) for a, t, b in shown)
    plotly = f"<script>{get_plotlyjs()}</script>" if 'class="plot"' in body else ""
    # The policy makes "no network" a promise the browser keeps, whatever a run folder holds.
    policy = (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="generator" content="selftaught">
<title>{esc(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header class="bar"><span>selftaught</span><button type="button" id="theme">Dark</button></header>
<main>
<div class="top">{top}</div>
<nav aria-label="Sections">{links}</nav>
{body}
</main>
{plotly}
<script>{script}</script>
</body>
</html>
"""

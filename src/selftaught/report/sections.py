"""The parts of the page as HTML: every text goes through `esc`, every picture is inlined."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from selftaught.report.answer import Answer, gain, in_order, metric_words, number, percent, points, probe_words
from selftaught.report.figures import Figure, label_free_curves, run_curves, stage_figure
from selftaught.report.pictures import data_uri
from selftaught.report.read import Json, Neighbours, Pictures, Run, Sample, finite
from selftaught.report.tables import stage_rows

MOST_SKIPPED = 200
"""Skipped files listed in the page; skipped.csv holds them all."""

LONG = 32
"""Table cells of more characters may break into lines."""


@dataclass(frozen=True)
class Cell:
    """A table cell: its text and, where that does not sort by itself, what it sorts by."""

    text: str
    sort: float | None = None
    href: str = ""


def esc(text: object) -> str:
    """Text as HTML text, also inside a quoted attribute."""
    return escape(str(text), quote=True)


def section(title: str, body: str, *, anchor: str, level: int = 2) -> str:
    """A titled part of the page; nothing where there is no body."""
    return f'<section id="{esc(anchor)}"><h{level}>{esc(title)}</h{level}>{body}</section>' if body else ""


def absent(text: str, command: str = "") -> str:
    """The one line that stands where a part of the run is not there yet."""
    return f'<p class="absent">{esc(text)}{f" <code>{esc(command)}</code>" if command else ""}</p>'


def answer_html(answer: Answer, *, heading: str = "h1") -> str:
    """The sentence, the strip of figures and the cautions."""
    facts = "".join(
        f'<div class="fact {fact.tone}"><dt>{esc(fact.label)}</dt>'
        f"<dd><b>{esc(fact.value)}</b><span>{esc(fact.note)}</span></dd></div>"
        for fact in answer.facts
    )
    cautions = "".join(f'<p class="caution">{esc(text)}</p>' for text in answer.cautions)
    strip = f'<dl class="facts">{facts}</dl>' if facts else ""
    return f'<{heading} class="answer">{esc(answer.headline)}</{heading}>{strip}{cautions}'


def warnings_html(warnings: Iterable[object]) -> str:
    """What the run itself warned of, such as a collapse."""
    return "".join(f'<p class="warning" role="alert"><b>Warning</b> {esc(text)}</p>' for text in warnings)


def figures_html(figures: Sequence[Figure]) -> str:
    """Plots side by side where the screen is wide enough; the script draws them from their JSON."""
    cards = [
        f'<figure class="card{" wide" if figure.wide else ""}"><figcaption><b>{esc(figure.title)}</b></figcaption>'
        f'<div class="legend"></div><div class="plot" role="img" aria-label="{esc(figure.title)}" '
        f'style="height:{380 if figure.wide else 250}px"></div>'
        f'<script type="application/json">{figure.to_json()}</script>'
        + (f'<p class="note">{esc(figure.note)}</p>' if figure.note else "")
        + "</figure>"
        for figure in figures
    ]
    # Two or four plots in rows of three would leave a hole.
    columns = "figures pairs" if len(figures) in (2, 4) else "figures"
    return f'<div class="{columns}">{"".join(cards)}</div>' if cards else ""


def table_html(
    head: Sequence[str], rows: Sequence[Sequence[Cell | str]], *, quiet: Sequence[int] = (), text: Sequence[int] = (0,)
) -> str:
    """A table sortable by each column. `quiet` rows are references, `text` columns are left aligned."""

    def attributes(column: int, words: str = "") -> str:
        kind = "num" if column not in text else "long" if len(words) > LONG else ""
        return f' class="{kind}"' if kind else ""

    heads = "".join(
        f'<th scope="col"{attributes(i)}><button type="button">{esc(name)}</button></th>' for i, name in enumerate(head)
    )
    body = ""
    for index, row in enumerate(rows):
        cells = ""
        for i, value in enumerate(row):
            cell = value if isinstance(value, Cell) else Cell(value)
            inner = f'<a href="{esc(cell.href)}">{esc(cell.text)}</a>' if cell.href else esc(cell.text)
            sort = f' data-sort="{cell.sort!r}"' if cell.sort is not None else ""
            cells += f"<td{attributes(i, cell.text)}{sort}>{inner}</td>"
        body += f"<tr{' class=quiet' if index in quiet else ''}>{cells}</tr>"
    table = f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def figure_cell(value: object, show: str = "") -> Cell:
    """A numeric cell; `show` replaces the plain number."""
    known = finite(value)
    return Cell(show or number(known), known)


def worth_html(run: Run) -> str:
    """Accuracy by stage and the table of all probes of one run."""
    if not run.evaluations:
        return absent(
            "Not probed yet; this adds accuracy by stage against random weights:",
            f"selftaught evaluate {run.folder} LABELLED",
        )
    figures = []
    for evaluation in in_order(run.evaluations):
        if len(evaluation.get("stages") or {}) > 1:
            title = f"{probe_words(evaluation)}, {metric_words(evaluation)} by stage"
            figures.append(stage_figure(stage_rows({run.task: evaluation}), evaluation, title=title))
    head = ["Probe", "Labelled data", "Metric", "Best stage", "Value", "Random weights", "Gain, points"]
    head += ["Supervised", "Chance"]
    rows: list[list[Cell | str]] = []
    for evaluation in in_order(run.evaluations):
        others = [(evaluation.get(key) or {}).get("value") for key in ("random", "supervised")]
        difference = gain(evaluation)
        values = [evaluation.get("value"), others[0]]
        rows.append(
            [
                *(probe_words(evaluation), Path(str(evaluation.get("labelled", "–"))).name, metric_words(evaluation)),
                str(evaluation.get("stage") or "–"),
                *(figure_cell(v, percent(finite(v))) for v in values),
                figure_cell(difference, points(difference)),
                *(figure_cell(v, percent(finite(v))) for v in (others[1], evaluation.get("chance"))),
            ]
        )
    return figures_html(figures) + table_html(head, rows, text=(0, 1, 2, 3))


def samples_html(pictures: Pictures | None) -> str:
    """What the task sees: inputs, the label it made itself, its prediction."""
    if not pictures or not pictures.samples:
        return absent(
            "No pictures here yet; they are written at the end of the run, here after",
            "selftaught pretrain ... --resume",
        )
    shared = any(_agree(s) for s in pictures.samples)
    cards = "".join(_sample(s, marked=shared) for s in pictures.samples)
    return f'<div class="samples">{cards}</div>'


def neighbours_html(pictures: Pictures | None) -> str:
    """Queries in the first column, their nearest neighbours with cosine similarity behind."""
    if not pictures or not pictures.neighbours:
        return ""
    note = (
        '<p class="note">Left: a held-out query. Then its nearest neighbours by cosine similarity of the features.</p>'
    )
    return f'<div class="neighbours">{"".join(_neighbours(n) for n in pictures.neighbours)}</div>{note}'


def kernels_html(pictures: Pictures | None) -> str:
    """The first layer's kernels, magnified without smoothing."""
    shown = _image(pictures.kernels, "first-layer kernels", exact=True) if pictures and pictures.kernels else ""
    note = '<p class="note">Smooth edges and blobs of colour are learned; what looks like noise is not, yet.</p>'
    return f'<div class="kernels">{shown}</div>{note}' if shown else ""


def curves_html(run: Run) -> str:
    """Loss and metrics over the steps."""
    return figures_html(run_curves(run)) or absent("No curves yet: metrics.csv and heldout.csv are empty.")


def health_html(run: Run) -> str:
    """The figures that need no label, with the warnings that speak of them."""
    figures = label_free_curves({run.task: run.heldout})
    collapse = [w for w in run.summary.get("warnings") or [] if "collapse" in str(w).lower()]
    return (
        (warnings_html(collapse) + figures_html(figures))
        if figures or collapse
        else absent("No look at held-out data yet.")
    )


def skipped_html(run: Run) -> str:
    """The files that could not be read, and why."""
    if not run.skipped:
        return ""
    table = table_html(["File", "Reason"], run.skipped[:MOST_SKIPPED], text=(0, 1))
    more = (
        f'<p class="note">{len(run.skipped) - MOST_SKIPPED:,} more are in skipped.csv.</p>'
        if len(run.skipped) > MOST_SKIPPED
        else ""
    )
    return f"<details><summary>{len(run.skipped):,} files were skipped</summary>{table}{more}</details>"


def repeat_html(run: Run) -> str:
    """The exact command, the configuration and the versions."""
    command = run.environment.get("command")
    line = shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")
    parts = [f"<pre><code>{esc(line)}</code></pre>" if line else ""]
    settings = {**run.config, **{f"task.{k}": v for k, v in (run.config.get("task_settings") or {}).items()}}
    settings.pop("task_settings", None)
    groups = [
        ("Configuration", settings),
        ("Versions", run.environment.get("versions")),
        ("Machine", run.environment.get("machine")),
    ]
    parts += [details_html(title, values) for title, values in groups if isinstance(values, Mapping) and values]
    return "".join(parts)


def details_html(title: str, values: Json) -> str:
    """A closed list of names and values."""
    rows = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(_value(v))}</dd></div>" for k, v in values.items())
    return f'<details><summary>{esc(title)}</summary><dl class="settings">{rows}</dl></details>'


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items()) or "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _agree(sample: Sample) -> bool:
    label, prediction = sample.pseudo_label, sample.prediction
    if isinstance(label, Path) or isinstance(prediction, Path) or not label:
        return False
    return prediction == label or (prediction.startswith(label) and not prediction[len(label)].isalnum())


def _sample(sample: Sample, *, marked: bool) -> str:
    inputs = "".join(_image(p, "input of the task") for p in sample.inputs)
    tone = ("" if not marked else "right" if _agree(sample) else "wrong") if isinstance(sample.prediction, str) else ""
    mark = f'<span class="mark">{tone}</span>' if tone else ""
    return (
        f'<article class="sample {tone}{" single" if len(sample.inputs) == 1 else ""}">'
        f'<div class="inputs n{min(len(sample.inputs), 4)}">{inputs}</div><dl>'
        f"<div><dt>pseudo-label</dt><dd>{_said(sample.pseudo_label)}</dd></div>"
        f"<div><dt>prediction</dt><dd>{_said(sample.prediction)}{mark}</dd></div></dl></article>"
    )


def _said(value: str | Path) -> str:
    return _image(value, "picture made by the task") if isinstance(value, Path) else esc(value or "–")


def _neighbours(entry: Neighbours) -> str:
    found = "".join(
        f"<figure>{_image(p, 'neighbour')}<figcaption>{s:.2f}</figcaption></figure>" for p, s in entry.found
    )
    query = f'<figure class="query">{_image(entry.query, "query")}<figcaption>query</figcaption></figure>'
    return f'<div class="row">{query}{found}</div>'


def _image(path: Path, words: str, *, exact: bool = False) -> str:
    found = data_uri(path, exact=exact)
    if not found:
        return ""
    uri, width, height = found
    # Pixels of a tiny picture are shown as they are: smoothing would hide what the encoder gets.
    crisp = " class=crisp" if exact or max(width, height) <= 64 else ""
    return f'<img{crisp} src="{uri}" width="{width}" height="{height}" alt="{esc(words)}">'

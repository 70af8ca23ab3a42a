"""The parts of a run's page that speak of the run itself; what probes add stands in `protocols` and `looks`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from selftaught.report.blocks.document import Block, Drawn
from selftaught.report.blocks.figures import label_free_curves, run_curves
from selftaught.report.blocks.markup import absent, details_html, esc, image, note, photograph, player, warnings_html
from selftaught.report.blocks.pictures import Album, is_strip
from selftaught.report.facts.cells import Table, words
from selftaught.report.facts.read import Neighbours, Pictures, Run, Sample

MOST_SKIPPED = 200
"""Skipped files listed in the page; skipped.csv holds them all."""


def samples_blocks(pictures: Pictures | None) -> list[Block]:
    """What the task sees: inputs, the label it made itself, its prediction."""
    if not pictures or not pictures.samples:
        return [
            absent(
                "No images here yet; they are written at the end of the run, here after",
                "selftaught pretrain ... --resume",
            )
        ]
    samples = pictures.samples
    shared = any(_agree(s) for s in samples)

    def draw(album: Album) -> str:
        return f'<div class="samples">{"".join(_sample(album, s, marked=shared) for s in samples)}</div>'

    return [draw]


def neighbours_blocks(pictures: Pictures | None) -> list[Block]:
    """Queries in the first column, their nearest neighbours with cosine similarity behind."""
    if not pictures or not pictures.neighbours:
        return []
    shown = pictures

    def draw(album: Album) -> str:
        return f'<div class="neighbours">{"".join(_neighbours(album, n, shown) for n in shown.neighbours)}</div>'

    return [draw, note("Left: a held-out query. Then its nearest neighbours by cosine similarity of the features.")]


def kernels_block(path: Path | None) -> Drawn | str:
    """The first layer's kernels, magnified without smoothing."""
    if path is None:
        return ""

    def draw(album: Album) -> str:
        shown = image(album.exact(path), "first-layer kernels", exact=True)
        told = note("Smooth edges and blobs of colour are learned; what looks like noise is not, yet.")
        return f'<div class="kernels">{shown}</div>{told}' if shown else ""

    return draw


def curves_blocks(run: Run) -> list[Block]:
    """Loss and metrics over the steps."""
    return [run_curves(run) or absent("No curves yet: metrics.csv and heldout.csv are empty.")]


def health_blocks(run: Run) -> list[Block]:
    """The metrics that need no label, with the warnings that speak of them."""
    figures = label_free_curves({run.task: run.heldout})
    collapse = [w for w in run.summary.get("warnings") or [] if "collapse" in str(w).lower()]
    if not figures and not collapse:
        return [absent("No look at held-out data yet.")]
    return [warnings_html(collapse), figures]


def skipped_blocks(run: Run) -> list[Block]:
    """The files that could not be read, and why."""
    if not run.skipped:
        return []
    left = len(run.skipped) - MOST_SKIPPED
    rows = [(words(path), words(reason)) for path, reason in run.skipped[:MOST_SKIPPED]]
    title = f"{len(run.skipped):,} files were skipped or left out"
    more = f"{left:,} more are in skipped.csv." if left > 0 else ""
    return [Table(title=title, head=["File", "Reason"], rows=rows, text=(0, 1), note=more, folded=True)]


def repeat_blocks(run: Run) -> list[Block]:
    """The exact command, the configuration and the versions."""
    command = run.environment.get("command")
    if isinstance(command, list):
        # `python -m selftaught` is known by its file.
        command = shlex.join(["selftaught" if part == "__main__.py" else str(part) for part in command])
    line = str(command or "")
    parts = [f"<pre><code>{esc(line)}</code></pre>" if line else ""]
    settings = {**run.config, **{f"task.{k}": v for k, v in (run.config.get("task_settings") or {}).items()}}
    settings.pop("task_settings", None)
    encoders = settings.pop("encoders", None)
    settings |= encoders if isinstance(encoders, Mapping) else {}
    groups = [
        ("Configuration", settings),
        ("Versions", run.environment.get("versions")),
        ("Machine", run.environment.get("machine")),
    ]
    parts += [details_html(title, values) for title, values in groups if isinstance(values, Mapping) and values]
    return ["".join(parts)]


def _agree(sample: Sample) -> bool:
    label, prediction = sample.pseudo_label, sample.prediction
    return isinstance(label, str) and bool(label) and prediction == label


def _sample(album: Album, sample: Sample, *, marked: bool) -> str:
    inputs = "".join(photograph(album, p, "input of the task") for p in sample.inputs)
    tone = ("" if not marked else "right" if _agree(sample) else "wrong") if isinstance(sample.prediction, str) else ""
    mark = f'<span class="mark">{tone}</span>' if tone else ""
    parts = (*sample.inputs, sample.pseudo_label, sample.prediction)
    wide = any(isinstance(part, Path) and is_strip(part) for part in parts)
    shape = " wide" if wide else " single" if len(sample.inputs) == 1 else ""
    return (
        f'<article class="sample {tone}{shape}">'
        f'<div class="inputs n{min(len(sample.inputs), 4)}">{inputs}</div><dl>'
        f"<div><dt>pseudo-label</dt><dd>{_said(album, sample.pseudo_label)}</dd></div>"
        f"<div><dt>prediction</dt><dd>{_said(album, sample.prediction)}{mark}</dd></div></dl></article>"
    )


def _said(album: Album, value: str | Path) -> str:
    return photograph(album, value, "image generated by the task") if isinstance(value, Path) else esc(value or "–")


def _neighbours(album: Album, entry: Neighbours, pictures: Pictures) -> str:
    heard = {entry.query, *(path for path, _ in entry.found[:1])}

    def figure(path: Path, words: str, told: str, kind: str = "") -> str:
        name = pictures.names.get(path, "")
        titled = f' title="{esc(name)}"' if name else ""
        caption = f'{esc(told)}<span class="file">{esc(name)}</span>' if name else esc(told)
        shown = photograph(album, path, words)
        if path in heard:  # a player at each sample would take megabytes
            shown += player(pictures.sounds.get(path))
        return f"<figure{kind}{titled}>{shown}<figcaption>{caption}</figcaption></figure>"

    found = "".join(figure(path, "neighbour", f"{similar:.2f}") for path, similar in entry.found)
    query = figure(entry.query, "query", "query", ' class="query"')
    return f'<div class="row">{query}{found}</div>'

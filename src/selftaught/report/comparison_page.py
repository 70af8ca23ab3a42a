"""The page of a comparison: which pretext task suits these data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from selftaught.report.blocks.agreement import agreement_blocks
from selftaught.report.blocks.document import Block, Document, Section
from selftaught.report.blocks.few_labels import few_labels_figure
from selftaught.report.blocks.figures import Figure, label_free_curves, metric_curves, stage_figure
from selftaught.report.blocks.markup import absent, details_html, note
from selftaught.report.blocks.rank_figure import rank_figure
from selftaught.report.blocks.tables import label_free_table, ranking_table, stage_rows, stage_table
from selftaught.report.blocks.worth import stage_title
from selftaught.report.facts.answer import answer_comparison, ranked
from selftaught.report.facts.cells import Table, words
from selftaught.report.facts.read import Comparison, Json, Run
from selftaught.report.facts.references import random_references
from selftaught.report.facts.runs import anchor, line, with_unit
from selftaught.report.facts.wording import few
from selftaught.report.run_page import run_section

SHOWN = ("rows", "random", "supervised", "label_free_agreement", "left_out")
"""Parts of compare.json that have sections of their own; the others are settings."""


def comparison_document(comparison: Comparison) -> Document:
    """The ranking first, then the evidence, then each run."""
    table, rows = comparison.table, ranked(comparison.table)
    by_folder = {run.folder.name: run for run in comparison.runs}
    runs = {str(r.get("task")): by_folder[n] for r in rows if (n := str(r.get("run") or r.get("task"))) in by_folder}
    settings = {k: v for k, v in table.items() if k not in SHOWN}
    parts: list[tuple[str, str, list[Block]]] = [
        ("ranking", "Ranking", _ranking_blocks(table, rows, runs)),
        ("stages", "Accuracy by stage", _stage_blocks(table, rows)),
        ("labels", "How many labels it saves", _labels_blocks(rows)),
        ("curves", "Pretext metric on held-out data", _curve_blocks(runs)),
        ("label-free", "Quality without labels", [label_free_table(rows), _health(runs)]),
        (
            "agreement",
            "Can metrics without labels be trusted here",
            agreement_blocks(table.get("label_free_agreement")),
        ),
    ]
    parts.append(("left-out", "Left out", _left_out_blocks(table)))
    return Document(
        title=f"Pretext tasks on {_data(table) or comparison.folder.name}",
        eyebrow=f"Which pretext task suits {_data(table) or 'these data'}?",
        answer=answer_comparison(comparison),
        line=_settings_line(table),
        warnings=_warnings(runs),
        sections=[
            *(Section(anchor=a, title=title, blocks=blocks) for a, title, blocks in parts),
            *(run_section(run, name) for name, run in runs.items()),
            Section(anchor="settings", title="Settings", blocks=[details_html("Settings of the comparison", settings)]),
        ],
    )


def _warnings(runs: Mapping[str, Run]) -> list[str]:
    """What the runs warned of; those with the same words, but for the numbers in them, are one."""
    tasks: dict[str, list[str]] = {}
    told: dict[str, str] = {}
    for name, run in runs.items():
        for text in run.summary.get("warnings") or []:
            words = re.sub(r"\d[\d.,]*", "", str(text))
            tasks.setdefault(words, []).append(name)
            told.setdefault(words, str(text))
    return [f"{few(names)}: {told[words]}" for words, names in tasks.items()]


def _settings_line(table: Json) -> str:
    known = [("data", _data(table)), ("encoder", table.get("encoder"))]
    known += [("size", with_unit(table.get("size"), " px")), ("budget", with_unit(table.get("budget"), " a task"))]
    return line([*known, ("seed", table.get("seed"))])


def _data(table: Json) -> str | None:
    # Without local folders: pages are shown to others.
    return PurePath(str(table["data"])).name if table.get("data") else None


def _ranking_blocks(table: Json, rows: Sequence[Json], runs: Mapping[str, Run]) -> list[Block]:
    links = {name: f"#{anchor(run)}" for name, run in runs.items()}
    references = _references(table, rows)
    figure = rank_figure(rows, references)
    blocks: list[Block] = [[figure] if figure else [], ranking_table(rows, references, links)]
    if not any(row.get("probe") for row in rows):
        command = f"selftaught compare {table.get('data', 'DATA')} --labelled LABELLED ..."
        told = "Ranked by the label-free metrics, since no labels were given; to rank by a probe:"
        blocks.append(absent(told, command))
    return blocks


def _stage_blocks(table: Json, rows: Sequence[Json]) -> list[Block]:
    probes = _probes(rows)
    first = next(iter(probes.values()), None)
    if first is None or len(first.get("stages") or {}) < 2:
        return []
    references = _references(table, rows)
    supervised = references.pop("supervised", None)
    results = {**references, **probes, **({"supervised": supervised} if supervised else {})}
    title = stage_title(first)
    return [[stage_figure(results, first, title=title)], stage_table(results, first, title=title)]


def _curve_blocks(runs: Mapping[str, Run]) -> list[Block]:
    figures = metric_curves(runs)
    told = "Each task's own metric over the steps; dashed: chance, or what no knowledge reaches."
    return [figures, note(told) if any(figure.small for figure in figures) else ""]


def _health(runs: Mapping[str, Run]) -> list[Figure]:
    return label_free_curves({name: run.heldout for name, run in runs.items()})


def _labels_blocks(rows: Sequence[Json]) -> list[Block]:
    found = {name: probe for name, probe in _probes(rows).items() if probe.get("few_labels")}
    return [[few_labels_figure(probe, name=name) for name, probe in found.items()]]


def _left_out_blocks(table: Json) -> list[Block]:
    """Tasks that could not learn from these data, with what they lack."""
    left_out = [one for one in table.get("left_out") or [] if isinstance(one, Mapping)]
    data, name = str(table.get("data")), _data(table) or "data"
    cells = [[words(one.get("task")), words(str(one.get("why")).replace(data, name))] for one in left_out]
    title = "Tasks that were not trained, as the data lack what they need"
    return [Table(title=title, head=["Task", "Reason"], rows=cells, text=(0, 1))] if cells else []


def _probes(rows: Sequence[Json]) -> dict[str, Json]:
    return {str(row["task"]): row["probe"] for row in rows if row.get("probe")}


def _references(table: Json, rows: Sequence[Json]) -> dict[str, Json]:
    found = random_references(table, rows)
    supervised = stage_rows(_probes(rows)).get("supervised")
    if isinstance(given := table.get("supervised"), Mapping) and given.get("value") is not None:
        supervised = given
    return found | ({"supervised": supervised} if supervised else {})

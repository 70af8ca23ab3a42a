"""The tables of the page, from the metrics in the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selftaught.report.facts.cells import Cell, Table, figure, gap, measure, words
from selftaught.report.facts.evaluations import (
    Estimate,
    behind,
    data_name,
    estimate,
    gain,
    in_order,
    metric_words,
    protocol_words,
    stage_estimates,
)
from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.references import RANDOM, is_reference
from selftaught.report.facts.runs import unit_of_all
from selftaught.report.facts.wording import interval_in, metric_of, pretext, sentence, spoken


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


def stage_table(results: Mapping[str, Json], evaluation: Json, *, title: str) -> Table:
    """Rows by stages, the best of a row marked."""
    stages = stage_names(results.values())
    metric = evaluation.get("metric")
    rows = []
    for name, result in results.items():
        found = stage_estimates(result, evaluation)
        best = max(found, key=lambda stage: found[stage].value, default=None)
        rows.append([words(name), *(measure(metric, found.get(s), best=s == best) for s in stages)])
    quiet = [i for i, name in enumerate(results) if is_reference(name)]
    return Table(title=sentence(title), head=["", *stages], rows=rows, quiet=quiet, folded=True)


def worth_table(evaluations: Sequence[Json]) -> Table:
    """Every protocol of a run: the encoder beside random weights and the supervised encoder."""
    rows = []
    for e in in_order(evaluations):
        if finite(e.get("value")) is None:
            continue
        metric, chance = e.get("metric"), finite(e.get("chance"))
        rows.append(
            [
                words(sentence(protocol_words(e))),
                words(metric_words(e)),
                measure(metric, estimate(e, e)),
                gap(metric, gain(e)),
                measure(metric, estimate(e.get("random"), e)),
                measure(metric, estimate(e.get("supervised"), e)),
                measure(metric, None if chance is None else Estimate(chance)),
                words(e.get("stage")),
                words(data_name(e)),
                figure(e.get("train_samples") or None),
            ]
        )
    head = ["Protocol", "Metric", "Value", "Gain", "Random weights", "Supervised", "Chance", "Best stage", "Data"]
    note = "Below each value its 95 % interval. Gain: above random weights; grey if it cannot be distinguished from 0."
    table = Table(title="All protocols", head=[*head, "Labelled samples"], rows=rows, text=(0, 1, 7, 8), note=note)
    return without_empty(table)


def ranking_table(rows: Sequence[Json], references: Mapping[str, Json], links: Mapping[str, str]) -> Table:
    """The rows of a comparison, best first, with what they are compared with."""
    probed = next((row["probe"] for row in rows if row.get("probe")), None)
    best = rows[0] if rows else {}
    encoders = {_encoder(row) for row in rows} - {""}
    body = []
    for row in rows:
        name, probe, metric = str(row.get("task")), row.get("probe") or {}, str(row.get("metric", ""))
        value, chance = finite(row.get("pretext_value")), finite(row.get("pretext_chance"))
        cells = [figure(row.get("rank")), replace(words(name), href=links.get(name, ""))]
        if probed:
            cells += [measure(probe.get("metric"), estimate(probe, probe)), gap(probe.get("metric"), gain(probe))]
            cells += [_behind_cell(row, best), words(probe.get("stage"))]
        cells.append(figure(value, f"{pretext(metric, value)} {spoken(metric)}"))
        cells += [figure(chance, pretext(metric, chance)), figure(row.get("steps"))]
        cells += [words(_encoder(row) if len(encoders) > 1 else "")]
        body.append(cells)
    head = ["Rank", "Task"]
    if probed:
        head += [
            sentence(f"{protocol_words(probed)}, {metric_words(probed)}"),
            "Gain",
            "Behind the first",
            "Best stage",
        ]
    head += ["Pretext", "Chance", "Steps", "Encoder"]
    quiet = list(range(len(body), len(body) + len(references))) if probed else []
    for name, result in references.items() if probed else ():
        value_cell = measure(probed.get("metric"), estimate(result, probed)) if probed else words("")
        cells = [words(""), words(name), value_cell, words(""), words(""), words(result.get("stage"))]
        body.append([*cells, *[words("")] * (len(head) - len(cells))])
    own = " of the task's own encoder and clips" if sum(name.startswith(RANDOM) for name in references) > 1 else ""
    note = (
        f"Gain: above random weights{own}. ≈ cannot be distinguished from the first on these test samples."
        if probed
        else ""
    )
    text = (0, 1, 5, len(head) - 1) if probed else (0, 1, len(head) - 1)
    return without_empty(Table(title="Tasks, best first", head=head, rows=body, quiet=quiet, text=text, note=note))


def label_free_table(rows: Sequence[Json]) -> Table:
    """Figures without labels and cost of every row of a comparison; intervals where the label_free probe gave them."""
    names = ("rankme", "lidar", "alpha_req", "alignment", "uniformity")
    body = []
    for row in rows:
        figures = ((row.get("label_free") or {}).get("more") or {}).get("figures") or {}
        cells = [words(row.get("task"))]
        for name in names:
            given = figures.get(name) or {}
            value = finite(given.get("value", row.get(name)))
            found = None if value is None else Estimate(value, interval_in(given.get("interval")))
            cells.append(measure(name, found))
        body.append([*cells, figure(row.get("images_per_second"))])
    head = ["Task", *(metric_of(name).words for name in names), f"{sentence(unit_of_all(rows))}/s"]
    return without_empty(Table(title="Figures without labels, and speed", head=head, rows=body))


def _encoder(row: Json) -> str:
    """With the prefix that the task asks for, as it was measured."""
    return str((row.get("probe") or {}).get("encoder") or row.get("encoder") or "")


def _behind_cell(row: Json, best: Json) -> Cell:
    found = behind(row, best)
    if found is None:
        return words("")
    cell = gap((row.get("probe") or {}).get("metric"), Estimate(found.value, found.interval))
    unsure = row.get("distinguishable") is False or found.is_distinct is False
    text = cell.text.lstrip("+")
    return replace(cell, text=f"≈ {text}" if unsure else text, tone="unsure" if unsure else "")


def without_empty(table: Table) -> Table:
    """The table without columns in which nothing is known."""
    kept = [i for i in range(len(table.head)) if i == 0 or any(row[i].text != "–" for row in table.rows)]
    return replace(
        table,
        head=[table.head[i] for i in kept],
        rows=[[row[i] for i in kept] for row in table.rows],
        text=[kept.index(i) for i in table.text if i in kept],
    )

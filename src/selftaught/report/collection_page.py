"""The page of a folder of runs: what each gains, then each run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from selftaught.report.blocks.agreement import agreement_blocks
from selftaught.report.blocks.document import Block, Document, Section
from selftaught.report.blocks.figures import stage_figure
from selftaught.report.blocks.markup import note
from selftaught.report.blocks.rank_figure import rank_figure
from selftaught.report.blocks.tables import stage_rows, stage_table, without_empty
from selftaught.report.blocks.worth import stage_title
from selftaught.report.facts.answer import SUPERVISED, answer_collection, gains_of
from selftaught.report.facts.cells import EMPTY, Cell, Table, figure, gap, measure, words
from selftaught.report.facts.evaluations import data_name, estimate, gain, in_order, main_evaluation, protocol_words
from selftaught.report.facts.read import Collection, Json, Run, finite
from selftaught.report.facts.references import is_reference
from selftaught.report.facts.runs import anchor, heldout_metric, run_name
from selftaught.report.facts.wording import points, precise, pretext, sentence
from selftaught.report.run_page import run_section


def collection_document(collection: Collection) -> Document:
    """An overview that links to the runs; accuracy by stage of all that were probed alike; means over seeds."""
    runs = {run_name(run.folder): run for run in collection.runs}
    probes = _probed_alike(runs)
    runs = _best_first(runs, probes)
    probes = {name: probes[name] for name in runs if name in probes}
    by_task = _by_task(runs, probes)
    parts: list[tuple[str, str, list[Block]]] = [
        ("overview", "Overview", _overview_blocks(runs, probes)),
        ("seeds", "Over seeds", _seed_blocks(by_task)),
        ("stages", "Accuracy by stage", _stage_blocks(runs, probes)),
        ("agreement", "Can metrics without labels be trusted here", agreement_blocks(collection.agreement)),
    ]
    return Document(
        title=run_name(collection.folder),
        eyebrow=f"Folder {run_name(collection.folder)}",
        answer=answer_collection(runs, probes, by_task),
        sections=[
            *(Section(anchor=a, title=title, blocks=blocks) for a, title, blocks in parts),
            *(run_section(run, name) for name, run in runs.items()),
        ],
    )


def _best_first(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> dict[str, Run]:
    """Tasks before what they are compared with, what was not measured last."""

    def place(name: str) -> tuple[bool, float]:
        value = finite(probes[name].get("value")) if name in probes else None
        return runs[name].task == SUPERVISED, math.inf if value is None else -value

    return {name: runs[name] for name in sorted(runs, key=place)}


def _overview_blocks(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> list[Block]:
    """Every task's runs in one plot, beside random weights and supervised training as the best run of each has it."""
    rows = [{"task": name, "probe": probe} for name, probe in probes.items() if runs[name].task != SUPERVISED]
    references = {name: result for name, result in stage_rows(probes).items() if is_reference(name)}
    labels = [probe for name, probe in probes.items() if runs[name].task == SUPERVISED]
    references |= {SUPERVISED: labels[0]} if labels else {}
    figure = rank_figure(rows, references, of="run")
    return [[figure] if figure else [], overview_table(runs, probes)]


def overview_table(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> Table:
    """One row a run, by the protocol of `probes` where it has that: what it gained first, how it was made last."""
    rows = []
    for name, run in runs.items():
        metric, value, chance = heldout_metric(run)
        probe = probes.get(name) or main_evaluation(run.evaluations) or {}
        rank = run.heldout.get("rankme") or (float("nan"),)
        rows.append(
            [
                *(replace(words(name), href=f"#{anchor(run)}"), words(run.task)),
                *(measure(probe.get("metric"), estimate(probe, probe)), gap(probe.get("metric"), gain(probe))),
                words(probe.get("stage")),
                *(figure(value, pretext(metric, value)), figure(chance, pretext(metric, chance))),
                figure(rank[-1], precise(finite(rank[-1]))),
                words(sentence(f"{protocol_words(probe)}, {data_name(probe)}") if probe else ""),
                *(figure(probe.get("train_samples") or None), words(run.encoder), figure(run.config.get("seed"))),
            ]
        )
    head = ["Run", "Task", "Value", "Gain, points", "Best stage", "Pretext", "Chance", "RankMe", "Protocol", "Labels"]
    quiet = [i for i, run in enumerate(runs.values()) if run.task == SUPERVISED]
    head += ["Encoder", "Seed"]
    table = Table(title="Runs, best first", head=head, rows=rows, text=(0, 1, 4, 8, 10), quiet=quiet)
    return without_empty(_without_alike(table, ("Protocol", "Labels", "Encoder")))


def _without_alike(table: Table, names: Sequence[str]) -> Table:
    """The table without the named columns that are equal for all runs; a note below lists those."""
    if len(table.rows) < 2:
        return table
    places = [table.head.index(name) for name in names]
    texts = {i: {row[i].text for row in table.rows if row[i].text != EMPTY.text} for i in places}
    alike = [i for i in places if len(texts[i]) == 1]
    kept = [i for i in range(len(table.head)) if i not in alike]
    told = "; ".join(f"{table.head[i].lower()}: {next(iter(texts[i]))}" for i in alike)
    return replace(
        table,
        head=[table.head[i] for i in kept],
        rows=[[row[i] for i in kept] for row in table.rows],
        text=[kept.index(i) for i in table.text if i in kept],
        note=f"{sentence(told)}." if told else "",
    )


def _probed_alike(runs: Mapping[str, Run]) -> dict[str, Json]:
    """The evaluation by which most of the runs can be compared: one protocol, the same data and number of labels."""
    ways: dict[tuple[object, ...], dict[str, Json]] = {}
    for name, run in runs.items():
        for e in in_order([e for e in run.evaluations if "other_part" not in e]):
            if len(e.get("stages") or {}) > 1:
                # A task of grey images has its encoder read them: grey:resnet18 stands beside resnet18.
                encoder = run.encoder.rpartition(":")[2]
                key = (e.get("probe"), data_name(e), e.get("train_samples"), e.get("test_samples"), encoder)
                ways.setdefault(key, {}).setdefault(name, e)
    return max(ways.values(), key=len, default={})


def _stage_blocks(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> list[Block]:
    if len(probes) < 2:
        return []
    first = next(iter(probes.values()))
    results, title = stage_rows(probes), stage_title(first)
    differ = len({str((e.get("random") or {}).get("stages")) for e in probes.values()}) > 1
    told = note("Random weights are those of the first run.") if differ else ""
    tasks = {name: runs[name].task for name in probes}
    return [[stage_figure(results, first, title=title, tasks=tasks)], told, stage_table(results, first, title=title)]


def _by_task(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> dict[str, list[Json]]:
    """The evaluations of each task; nothing where every task was run once."""
    found: dict[str, list[Json]] = {}
    for name, evaluation in probes.items():
        if finite(evaluation.get("value")) is not None:
            found.setdefault(runs[name].task, []).append(evaluation)
    return found if max(map(len, found.values()), default=0) > 1 else {}


def _seed_blocks(by_task: Mapping[str, Sequence[Json]]) -> list[Block]:
    """Mean and spread over the seeds of each task."""
    if not by_task:
        return []
    rows: list[list[Cell]] = []
    for task, found in by_task.items():
        values = [float(e["value"]) for e in found]
        rows.append([words(task), figure(len(found)), _mean(values), _mean(gains_of(found), sign=True)])
    rows.sort(key=lambda row: -(row[2].value or 0.0))
    title = sentence(f"{protocol_words(next(iter(by_task.values()))[0])}, mean over seeds")
    told = "± is one standard deviation over the runs; of a single run it is not known."
    return [Table(title=title, head=["Task", "Runs", "Value, %", "Gain, points"], rows=rows, note=told)]


def _mean(values: list[float], *, sign: bool = False) -> Cell:
    if not values:
        return words("")
    mean = statistics.mean(values)
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return Cell(text=(points(mean) if sign else f"{mean:.1f}") + spread, value=mean)

"""The page of a folder of runs: what each gains, then each run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from selftaught.report.agreement import agreement_blocks
from selftaught.report.answer import answer_collection
from selftaught.report.cells import Cell, Table, figure, gap, measure, words
from selftaught.report.document import Block, Document, Section
from selftaught.report.evaluations import data_name, estimate, gain, in_order, main_evaluation, protocol_words
from selftaught.report.figures import stage_figure
from selftaught.report.markup import note
from selftaught.report.read import Collection, Json, Run, finite
from selftaught.report.run_page import run_section
from selftaught.report.runs import anchor, heldout_metric, run_name
from selftaught.report.tables import stage_rows, stage_table, without_empty
from selftaught.report.wording import points, precise, pretext, sentence
from selftaught.report.worth import stage_title


def collection_document(collection: Collection) -> Document:
    """An overview that links to the runs; accuracy by stage of all that were probed alike; means over seeds."""
    runs = {run_name(run.folder): run for run in collection.runs}
    probes = _probed_alike(runs)
    by_task = _by_task(runs, probes)
    gains = {task: known for task, found in by_task.items() if (known := _gains(found))}
    parts: list[tuple[str, str, list[Block]]] = [
        ("overview", "Overview", [overview_table(runs)]),
        ("stages", "Accuracy by stage", _stage_blocks(probes)),
        ("seeds", "Over seeds", _seed_blocks(by_task)),
        ("agreement", "Can figures without labels be trusted here", agreement_blocks(collection.agreement)),
    ]
    return Document(
        title=run_name(collection.folder),
        eyebrow=f"Runs in {run_name(collection.folder)}",
        answer=answer_collection(runs, gains),
        sections=[
            *(Section(anchor=a, title=title, blocks=blocks) for a, title, blocks in parts),
            *(run_section(run, name) for name, run in runs.items()),
        ],
    )


def overview_table(runs: Mapping[str, Run]) -> Table:
    """One row a run."""
    rows = []
    for name, run in runs.items():
        metric, value, chance = heldout_metric(run)
        probe = main_evaluation(run.evaluations) or {}
        rank = run.heldout.get("rankme") or (float("nan"),)
        rows.append(
            [
                *(replace(words(name), href=f"#{anchor(run)}"), words(run.task), words(run.encoder)),
                figure(run.config.get("seed")),
                words(sentence(f"{protocol_words(probe)}, {data_name(probe)}") if probe else ""),
                *(measure(probe.get("metric"), estimate(probe, probe)), words(probe.get("stage"))),
                gap(probe.get("metric"), gain(probe)),
                *(figure(value, pretext(metric, value)), figure(chance, pretext(metric, chance))),
                figure(rank[-1], precise(finite(rank[-1]))),
            ]
        )
    head = ["Run", "Task", "Encoder", "Seed", "Protocol", "Value", "Best stage", "Gain, points", "Pretext", "Chance"]
    return without_empty(Table(title="Runs", head=[*head, "RankMe"], rows=rows, text=(0, 1, 2, 4, 6)))


def _probed_alike(runs: Mapping[str, Run]) -> dict[str, Json]:
    """The evaluation by which most of the runs can be compared: one protocol, the same data and number of labels."""
    ways: dict[tuple[object, ...], dict[str, Json]] = {}
    for name, run in runs.items():
        for e in in_order(run.evaluations):
            if len(e.get("stages") or {}) > 1:
                key = (e.get("probe"), e.get("labelled"), e.get("train_samples"), run.encoder)
                ways.setdefault(key, {}).setdefault(name, e)
    return max(ways.values(), key=len, default={})


def _stage_blocks(probes: Mapping[str, Json]) -> list[Block]:
    if len(probes) < 2:
        return []
    first = next(iter(probes.values()))
    results, title = stage_rows(probes), stage_title(first)
    differ = len({str((e.get("random") or {}).get("stages")) for e in probes.values()}) > 1
    told = note("Random weights are those of the first run's seed.") if differ else ""
    return [[stage_figure(results, first, title=title)], told, stage_table(results, first, title=title)]


def _by_task(runs: Mapping[str, Run], probes: Mapping[str, Json]) -> dict[str, list[Json]]:
    """The evaluations of each task; nothing where every task was run once."""
    found: dict[str, list[Json]] = {}
    for name, evaluation in probes.items():
        if finite(evaluation.get("value")) is not None:
            found.setdefault(runs[name].task, []).append(evaluation)
    return found if max(map(len, found.values()), default=0) > 1 else {}


def _gains(found: Sequence[Json]) -> list[float]:
    return [known.value for e in found if (known := gain(e))]


def _seed_blocks(by_task: Mapping[str, Sequence[Json]]) -> list[Block]:
    """Mean and spread over the seeds of each task."""
    if not by_task:
        return []
    rows: list[list[Cell]] = []
    for task, found in by_task.items():
        values = [float(e["value"]) for e in found]
        rows.append([words(task), figure(len(found)), _mean(values), _mean(_gains(found), sign=True)])
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

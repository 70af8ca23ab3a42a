"""The page and the plot of `evidence.py`, from docs/results/evidence.json alone."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from evidence_settings import CHANGES, FEW_LABELS, SETTINGS, Change

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
REFERENCES = ("supervised",)
"""Rows that are no pretext task."""

TABLE_IV = {
    "clustering": 41.0,
    "split_brain": 35.4,
    "counting": 34.3,
    "jigsaw": 34.0,
    "context_prediction": 31.7,
    "colorization": 31.5,
    "bigan": 31.0,
    "inpainting": 21.0,
}
"""Best layer of AlexNet, linear classification of ImageNet in percent: Jing & Tian 2020, table IV."""

Rows = dict[str, list[dict[str, Any]]]
"""Task -> its rows, one a seed."""


def read_rows() -> dict[str, Any]:
    """Every row measured so far, by "setting/task/seed"."""
    path = RESULTS / "evidence.json"
    return json.loads(path.read_text()) if path.exists() else {}


def rows_of(setting: str) -> Rows:
    """The rows of one setting by task."""
    found: Rows = {}
    for key, row in read_rows().items():
        name, task, _ = key.split("/")
        if name == setting:
            found.setdefault(task, []).append(row)
    return found


def write_page() -> None:
    """docs/results/evidence.md and evidence.svg; means over seeds, with the half-range behind ±."""
    lines = [
        "# Evidence",
        "",
        "Made by `python benchmarks/evidence.py`; all numbers are in evidence.json. Accuracies in percent, mean",
        "over seeds, half the range behind ±. Random weights and supervised training are read by the same probes.",
        "Tasks in the order of their best stage; the gain is that over the same encoder, with the input that the task",
        "gives it (grey for colorization, split for split_brain), with random weights.",
        "Baseline: what the pretext metric is without any knowledge.",
        "",
    ]
    for name, setting in SETTINGS.items():
        found = {task: rows for task, rows in rows_of(name).items() if task in setting.tasks}
        if not found:
            continue
        where = f" Probes read {setting.labelled}." if setting.labelled else ""
        lines += [f"## {name}", "", f"Shared flags: `{setting.flags}`.{where}", ""]
        hardware = sorted({row["hardware"] for rows in found.values() for row in rows if "hardware" in row})
        lines += [f"Speed and memory of training on: {', '.join(hardware)}.", ""] if hardware else []
        if name == "cifar10":
            draw(found, RESULTS / "evidence.svg")
            lines += ["![Best stage and k-NN of every task](evidence.svg)", ""]
        lines += [*table(found, name), "", *of_older_code(name, found)]
        for paragraph in setting.reading.split("\n\n"):
            lines += [*textwrap.wrap(" ".join(paragraph.split()), 120), ""] if paragraph else []
        lines += [*beside_table_iv(found), ""] if name == "cifar10" else []
        own = [f"- {task}: `{' '.join(flags)}`" for task, flags in setting.tasks.items() if flags and task in found]
        lines += ["Flags of single tasks:", "", *own, ""] if own else []
    (RESULTS / "evidence.md").write_text("\n".join(lines))


def older(rows: list[dict[str, Any]], change: Change | None) -> bool:
    """Whether some of the rows were measured before the change."""
    return change is not None and any(row.get("measured", "") < change.date for row in rows)


def note(task: str, change: Change) -> str:
    """What a mark says."""
    return f"{task}: measured at {change.measured}; changed since, and not measured again: {change.what}."


def of_older_code(setting: str, found: Rows) -> list[str]:
    """A line for each mark in the table."""
    marked = [task for task, rows in found.items() if older(rows, CHANGES.get(f"{setting}/{task}"))]
    lines = [f"- {note(task, CHANGES[f'{setting}/{task}'])}" for task in marked]
    few = [row for rows in found.values() for row in rows if "linear 0.01" in row]
    if older(few, FEW_LABELS):
        lines.append(f"- {note('linear 0.01, in all rows', FEW_LABELS)}")
    return ["Marked with \\* (rows and a column of older code):", "", *lines, ""] if lines else []


def table(found: Rows, setting: str) -> list[str]:
    """One line a task, the best first; random weights and supervised training stand where they belong.

    What was measured before its method changed is marked.
    """
    first = next(iter(found.values()))
    stages = list(first[0]["linear"]["stages"])
    probes: list[str] = [p for p in ("linear 0.01", "knn") if p in first[0]]
    starred = [p + " \\*" if p == "linear 0.01" and older(first, FEW_LABELS) else p for p in probes]
    head = ["task", "seeds", "pretext", "baseline", *stages, "best stage", "gain", *starred, "images/s", "peak MB"]
    lines = {
        "random weights": ["random weights", str(len(first)), "", "", *random_cells(first, stages, probes), "", ""]
    }
    value = {"random weights": mean([row["linear"]["random"]["value"] for row in first])}
    for task, runs in found.items():
        value[task] = mean([row["linear"]["value"] for row in runs])
        mark = " \\*" if older(runs, CHANGES.get(f"{setting}/{task}")) else ""
        line = [task + mark, str(len(runs)), pretext(runs), f"{runs[0]['pretext']['chance']:.3f}"]
        line += [spread([row["linear"]["stages"][stage] for row in runs]) for stage in stages]
        gains = [row["linear"]["value"] - row["linear"]["random"]["value"] for row in runs]
        line += [spread([row["linear"]["value"] for row in runs]), spread(gains)]
        line += [spread([row[p]["value"] for row in runs]) for p in probes]
        timed = [row for row in runs if "hardware" in row]
        speeds, memory = ([row[k] for row in timed] for k in ("images_per_second", "peak_memory_mb"))
        lines[task] = [*line, f"{max(speeds):.0f}" if speeds else "", f"{max(memory)}" if memory else ""]
    return markdown(head, [lines[name] for name in sorted(lines, key=lambda name: -value[name])])


def beside_table_iv(found: Rows) -> list[str]:
    """The survey's order of the methods that both tables have, beside ours, and how well they agree."""
    from scipy.stats import spearmanr

    both = [task for task in TABLE_IV if task in found]
    if len(both) < 3:
        return []
    ours = {
        words: {task: mean([row[probe]["value"] for row in found[task]]) for task in both}
        for probe, words in (("linear", "best stage"), ("linear 0.01", "linear 0.01"), ("knn", "knn"))
    }
    body = [
        [task, f"{TABLE_IV[task]:.1f}", *(f"{values[task]:.1f}" for values in ours.values())]
        for task in sorted(both, key=lambda task: -TABLE_IV[task])
    ]
    order = [f"{words} {spearmanr([TABLE_IV[t] for t in both], list(v.values()))[0]:.2f}" for words, v in ours.items()]
    return [
        f"Spearman's rank correlation with the survey's Table IV over {len(both)} tasks: {', '.join(order)}.",
        "",
        *markdown(["task", "Table IV, best layer", *ours], body),
    ]


def random_cells(runs: list[dict[str, Any]], stages: list[str], probes: list[str]) -> list[str]:
    """Of random weights: each stage, the best one, the other probes."""
    cells = [spread([row["linear"]["random"]["stages"][stage] for row in runs]) for stage in stages]
    best, *others = [spread([row[p]["random"]["value"] for row in runs]) for p in ("linear", *probes)]
    return [*cells, best, "", *others]


def pretext(runs: list[dict[str, Any]]) -> str:
    """The held-out pretext metric and its name."""
    return f"{runs[0]['pretext']['metric']} {spread([row['pretext']['value'] for row in runs], 3)}"


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def spread(values: list[float], digits: int = 1) -> str:
    """The mean, and half the range where there are several."""
    half = (max(values) - min(values)) / 2
    return f"{mean(values):.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def markdown(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]


def draw(found: Rows, path: Path) -> None:
    """Best stage (full) and k-NN (hollow) of every task, each seed a point; random weights as bands."""
    import matplotlib

    matplotlib.use("svg")
    # The same numbers give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "evidence", "font.size": 9})
    from matplotlib import pyplot

    tasks = sorted(found, key=lambda task: mean([row["linear"]["value"] for row in found[task]]))
    figure, axes = pyplot.subplots(figsize=(8, 0.3 * len(tasks) + 1.2), layout="constrained")
    every = [row for rows in found.values() for row in rows]
    for probe, colour, words in (("linear", "tab:blue", "best stage, linear"), ("knn", "tab:orange", "k-NN")):
        random = [row[probe]["random"]["value"] for row in every]
        axes.axvspan(min(random), max(random), color=colour, alpha=0.2, lw=0, label=f"random weights, {words}")
        points = [(row[probe]["value"], place) for place, task in enumerate(tasks) for row in found[task]]
        x, y = zip(*points, strict=True)
        face = colour if probe == "linear" else "none"
        axes.scatter(x, y, s=28, facecolors=face, edgecolors=colour, label=words, zorder=3)
    names = [f"{task} (labels)" if task in REFERENCES else task for task in tasks]
    axes.set_yticks(range(len(tasks)), names)
    axes.set_xlabel("top-1 accuracy, %")
    axes.grid(axis="y", lw=0.4, alpha=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

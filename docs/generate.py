"""Write docs/tasks/*.md from the tasks' docstrings and their rows of evidence: `python docs/generate.py`.

A test holds the pages equal to what this makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from selftaught.core.options import describe, flag_of
from selftaught.tasks.catalogue import TaskInfo, list_tasks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from evidence_page import REFERENCES, markdown, note, older, pretext, rows_of, spread
from evidence_settings import CHANGES, FEW_LABELS, SETTINGS

FOLDER = Path(__file__).parent / "tasks"


def pages() -> dict[str, str]:
    """File name to text: one page a task, and the list of them."""
    tasks = list_tasks()
    return {"README.md": _index(tasks)} | {f"{task.name}.md": _page(task) for task in tasks}


def _index(tasks: list[TaskInfo]) -> str:
    rows = [f"| [`{t.name}`]({t.name}.md) | {t.family} | {t.kind} | {t.paper} | {t.summary} |" for t in tasks]
    head = [
        "# Pretext tasks",
        "",
        "| task | family | learns from | paper | what is predicted |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", "Made by `python docs/generate.py` from the tasks' docstrings.", ""])


def _page(task: TaskInfo) -> str:
    example = f"    selftaught pretrain DATA --task {task.name} --out RUN"
    facts = [f"- paper: {task.paper}", f"- family: {task.family}", f"- needs: {', '.join(task.needs)}"]
    lines = [f"# {task.name}", "", *facts, "", task.description, "", "## Run it", "", example, "", "## Settings", ""]
    if task.options:
        lines += ["| flag | value | default | |", "|---|---|---|---|"]
        lines += [
            f"| `{flag_of(f'task.{o.name}')}` | {describe(o)} | `{_text(o.default)}` | {o.help} |" for o in task.options
        ]
    else:
        lines += ["None."]
    return "\n".join([*lines, *_evidence(task.name), ""])


def _evidence(task: str) -> list[str]:
    """What the task reached in benchmarks/evidence.py, beside what it must be compared with."""
    lines = []
    for name, setting in SETTINGS.items():
        found = rows_of(name)
        if task not in found:
            continue
        shown = [name for name in (task, "autoencoder", *REFERENCES) if name in found]
        probes = [probe for probe in ("linear", "linear 0.01", "knn") if probe in found[task][0]]
        heads = {"linear": "best stage", "linear 0.01": "1 % of the labels", "knn": "k-NN"}
        random = [spread([row[probe]["random"]["value"] for row in found[task]]) for probe in probes]
        body = [["random weights", "", "", *random]]
        for other in dict.fromkeys(shown):
            rows = found[other]
            values = [spread([row[probe]["value"] for row in rows]) for probe in probes]
            body.append([other, pretext(rows), f"{rows[0]['pretext']['chance']:.3f}", *values])
        seeds = f"{len(found[task])} seed{'s' if len(found[task]) > 1 else ''}"
        lines += ["", f"On {name} with `{setting.flags}`; top-1 in percent, {seeds}.", ""]
        lines += markdown(["", "held-out pretext metric", "baseline", *(heads[probe] for probe in probes)], body)
        changes = [(task, CHANGES.get(f"{name}/{task}"))]
        changes += [("1 % of the labels", FEW_LABELS)] if "linear 0.01" in probes else []
        old = [f"- {note(words, change)}" for words, change in changes if change and older(found[task], change)]
        lines += ["", *old] if old else []
    return ["", "## Evidence", *lines, "", "All tasks: [results/evidence.md](../results/evidence.md)."] if lines else []


def _text(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()


def main() -> None:
    """Write all pages and remove those of tasks that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} pages in {FOLDER}")


if __name__ == "__main__":
    main()

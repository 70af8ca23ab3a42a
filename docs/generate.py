"""Write docs/tasks/*.md from the docstrings of the tasks: `python docs/generate.py`. A test holds them equal."""

from __future__ import annotations

from pathlib import Path

from selftaught.catalogue import TaskInfo, list_tasks, task_flag
from selftaught.settings import describe

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
        lines += [f"| `{task_flag(o.name)}` | {describe(o)} | `{_text(o.default)}` | {o.help} |" for o in task.options]
    else:
        lines += ["None."]
    return "\n".join([*lines, ""])


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

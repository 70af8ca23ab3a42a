"""What a verb's result looks like to people, on stdout."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def show(verb: str, result: Any) -> None:
    """Print what the verb returned."""
    if verb == "evaluate":
        from selftaught.report.writers.terminal import print_evaluation

        for one in (result, *result.get("further", ())):
            print_evaluation(one, sys.stdout)
    elif verb == "compare":
        from selftaught.report.writers.terminal import print_comparison

        print_comparison(result, sys.stdout)
        _verdict(result)
    elif verb == "agreement":
        for part, title in ((result, "best stage"), (result["last_stage"], "last stage, which the metrics are of")):
            if part:
                print(f"{result['probe']} probe, {title}")
                _table([_row(verb, row) for row in part["rows"]], empty="no metrics without labels")
        print(result["note"])
    elif verb == "demo":
        for labels in ("few_labels", "all_labels"):
            show("evaluate", result[labels])
        print(f"{result['seconds']:.0f} seconds; the page of this run: {Path(result['report']).resolve()}")
    elif verb == "pretrain" and result.get("dry_run"):
        _fields(_dry_run(result))
    elif isinstance(result, list):
        _table([_row(verb, e) for e in result], empty=_EMPTY.get(verb, "nothing found"), spare=_SPARE.get(verb, ()))
    else:
        row = _row(verb, result)
        unit = row.pop("unit", "images")
        _fields({f"{unit} per second" if name == "images per second" else name: text for name, text in row.items()})
        if verb == "pretrain" and "run" in result:
            _next(str(result["run"]))


_EMPTY = {"cache": "no packed store to list or remove"}
_WHOLE = ("name", "kind", "key", "rank", "similarity")
"""Columns whose words are never broken."""
_SPARE = {"tasks": ("needs", "family", "paper"), "encoders": ("family",), "cache": ("kind", "side")}
"""Columns that a narrow terminal leaves out; --json has them."""
NARROW = 110
"""Columns of text below which a terminal is narrow."""


def _verdict(result: Mapping[str, Any]) -> None:
    """The comparison in a sentence, as on its page, and where the page is."""
    from selftaught.report.facts.answer import answer_comparison
    from selftaught.report.facts.read import Comparison, read_folder

    page = result.get("report")
    if page is None:
        return
    found = read_folder(Path(page).parent)
    if isinstance(found, Comparison):
        print(answer_comparison(found).headline)
    print(f"the page of this comparison: {Path(page).resolve()}")


def _dry_run(found: Mapping[str, Any]) -> dict[str, str]:
    """What a run would do, a line for each kind of thing."""
    from selftaught.training.budget.schedule import plural

    about, unit, left = "about " if found["is_estimate"] else "", found["unit"], found["left_out"]
    data = f"{about}{found['train_samples']:,} {unit} to train on, {found['heldout_samples']:,} held out"
    if found["skipped"]:
        data += f"; {found['skipped']} of {found['decoded']:,} that were read cannot be used"
    if left:
        data += f"; {sum(left.values()):,} other files ({', '.join(f'{kind} {left[kind]}' for kind in left)})"
    preparing, training = (_time(found["seconds_of"][part]) for part in ("preparing", "training"))
    memory, disk, looks = found["memory"], found["disk"], found["evaluations"]
    each = " on each device" if found["devices"] > 1 else ""
    rows = {
        "task": f"{found['task']}, encoder {found['encoder']} at {found['size']} px with "
        f"{found['parameters'] / 1e6:.3g} M parameters, {found['task_parameters'] / 1e6:.3g} M with what only training "
        f"needs; {found['device']}, {found['precision']}",
        "data": data,
        **{f"{'skipped' if not number else ''}{' ' * number}": f"{path}: {why}"
           for number, (path, why) in enumerate(found["skipped_files"][:_SHOWN])},
        "steps": f"{found['steps']:,} of {found['batch_size']} {unit}, {found['epochs']:.3g} passes; "
        f"{found['optimizer']}, learning rate {found['lr']:.3g}",
        "time": f"about {_time(found['seconds'])}: {preparing} until the first step"
        f"{_packed(found)}, then {training} with "
        f"{found['step_seconds']:.2g} s a step and {looks} held-out {plural('evaluation', looks)}",
        "memory": " and ".join(
            f"{memory[place] / 1e9:.2g} GB{' of the GPU' if place == 'device' else ''}" for place in memory
        ) + each,
        "disk": "; ".join(_place(part) for part in disk.values() if part["bytes"]),
    }  # fmt: skip
    for number, text in enumerate(found["warnings"]):
        rows["warning" + " " * number] = text
    return rows | {"written": "nothing; the same command without --dry-run trains"}


def _packed(found: Mapping[str, Any]) -> str:
    if found["is_streamed"]:
        return " (shards are read in order, nothing is packed)"
    return " (the data are packed already)" if found["is_packed"] else ""


_SHOWN = 5
"""Files of a list that are shown."""


def _time(seconds: float) -> str:
    from selftaught.core.progress import clock

    return clock(seconds)


def _place(part: Mapping[str, Any]) -> str:
    note = "" if part["bytes"] < part["free"] else ", which is too little: free some space or give another place"
    return f"{part['bytes'] / 1e9:.2g} GB in {part['path']}, where {part['free'] / 1e9:.3g} GB are free{note}"


def _next(run: str) -> None:
    """What to do with a run."""
    run = shlex.quote(run)
    print(f"measure it with labels: selftaught evaluate {run} LABELLED_DATA (without: --probe label_free and any data)")
    print(f"write its page, {run}/report.html: selftaught report {run}")


def _row(verb: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """Cells of one entry, as text; what is a list inside is joined, a dict is left to --json."""
    if verb == "cache":
        return _store_row(entry)
    row = {}
    for name, value in entry.items():
        if isinstance(value, Mapping) or (verb == "tasks" and name == "year"):
            continue
        if isinstance(value, list | tuple):
            row[name.replace("_", " ")] = ", ".join(map(str, value))
        elif isinstance(value, float):
            row[name.replace("_", " ")] = f"{value:.4g}"
        else:
            row[name.replace("_", " ")] = "" if value is None else str(value)
    return row


def _store_row(entry: Mapping[str, Any]) -> dict[str, str]:
    """A beginning of the key is enough to name a store."""
    return {
        "key": entry["key"][:12],
        "data": entry["data"],
        "kind": entry["kind"],
        "samples": str(entry["samples"]),
        "side": f"{entry['side']} px",
        "MB": f"{entry['bytes'] / 1e6:.1f}",
        "last used": time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["used"] or entry["built"])),
        "its data": entry["state"] or "?",
        **({"": "removed"} if entry["removed"] else {}),
    }


def _fields(row: Mapping[str, str]) -> None:
    width = max(map(len, row), default=0)
    for name, text in row.items():
        print(f"{name:<{width}}  {text}")


def _table(rows: Sequence[Mapping[str, str]], *, empty: str, spare: Sequence[str] = ()) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print(empty)
        return
    # A pipe has no width of its own: whole rows there instead of lines cut at 80.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    shown = [name for name in rows[0] if name not in spare or console.width >= NARROW]
    table = Table(box=box.SIMPLE_HEAD)
    for name in shown:
        table.add_column(Text(name), overflow="fold", no_wrap=name in _WHOLE)
    for row in rows:
        table.add_row(*(Text(row[name]) for name in shown))
    console.print(table)
    if left_out := [name for name in spare if name not in shown]:
        print(f"a wider terminal and --json also show: {', '.join(left_out)}")

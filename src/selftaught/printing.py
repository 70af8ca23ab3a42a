"""What a verb's result looks like to people, on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def show(verb: str, result: Any) -> None:
    """Print what the verb returned."""
    if verb == "evaluate":
        from selftaught.report.terminal import print_evaluation

        print_evaluation(result, sys.stdout)
    elif verb == "compare":
        from selftaught.report.terminal import print_comparison

        print_comparison(result, sys.stdout)
    elif verb == "agreement":
        for part, title in ((result, "best stage"), (result["last_stage"], "last stage, which the figures are of")):
            if part:
                print(f"{result['probe']} probe, {title}")
                _table([_row(verb, row) for row in part["rows"]], empty="no figures without labels")
        print(result["note"])
    elif verb == "demo":
        for labels in ("few_labels", "all_labels"):
            show("evaluate", result[labels])
        print(f"{result['seconds']:.0f} seconds; the page of this run: {Path(result['report']).resolve()}")
    elif isinstance(result, list):
        _table([_row(verb, entry) for entry in result], empty=_EMPTY.get(verb, "nothing found"))
    else:
        _fields(_row(verb, result))


_EMPTY = {"cache": "the cache is empty"}


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


def _table(rows: Sequence[Mapping[str, str]], *, empty: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print(empty)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(text) for text in row.values()))
    # A pipe has no width of its own: whole rows there instead of lines cut at 80.
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)

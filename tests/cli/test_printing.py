"""What a verb's result looks like to people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selftaught import api
from selftaught.cli import main as cli
from selftaught.cli.printing import show
from tests.terminal import Terminal


def test_tables_for_people(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    assert cli.main(["tasks"]) == 0
    text = capsys.readouterr().out
    assert "Gidaris, Singh, Komodakis, ICLR 2018" in text
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out == "no packed store to list or remove\n"


def test_tasks_fit_a_terminal_of_80_columns_and_say_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    tasks = api.list_tasks()
    show("tasks", tasks)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["name", "kind", "summary"]
    assert lines[-1] == "a wider terminal and --json also show: needs, family, paper"
    firsts = [line.split()[0] for line in lines[:-1] if line.startswith("  ") and line[2:3].strip()]
    assert [task["name"] for task in tasks] == firsts[1:]
    assert next(task["summary"] for task in tasks if task["name"] == "rotation").startswith("Predict by which multiple")


def test_a_run_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    show("pretrain", {"task": "rotation", "run": "my runs/a"})
    out = capsys.readouterr().out
    assert "selftaught evaluate 'my runs/a' " in out
    assert "selftaught report 'my runs/a'" in out


def test_the_cache_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    store = {"key": "0123456789abcdef", "path": "p", "bytes": 2_500_000, "kind": "images", "data": "photos"}
    show("cache", [store | {"samples": 12, "side": 64, "built": 0.0, "used": 0.0, "state": "", "removed": True}])
    words = capsys.readouterr().out.split()
    assert words[words.index("0123456789ab") :][:6] == ["0123456789ab", "photos", "images", "12", "64", "px"]

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


def test_a_dry_run_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "dry_run": True, "task": "rotation", "encoder": "resnet18", "size": 32, "parameters": 11_168_832,
        "task_parameters": 11_170_884, "device": "cpu", "precision": "bf16-mixed", "is_estimate": True,
        "train_samples": 9469, "heldout_samples": 500, "unit": "images", "left_out": {".doc": 2}, "skipped": 1,
        "decoded": 448, "skipped_files": [["a.jpg", "no image"]], "steps": 740, "batch_size": 128, "epochs": 10.0,
        "optimizer": "sgd", "lr": 0.05, "seconds": 185.0, "seconds_of": {"preparing": 5.0, "training": 180.0},
        "is_packed": False, "is_streamed": False, "step_seconds": 0.24, "evaluations": 10, "devices": 1,
        "memory": {"host": 1_200_000_000},
        "disk": {"store": {"path": "cache", "bytes": 3_000_000_000, "free": 2_000_000_000}}, "warnings": [],
    }  # fmt: skip
    show("pretrain", found)
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "rotation, encoder resnet18 at 32 px with 11.2 M parameters",
        "about 9,469 images to train on, 500 held out; 1 of 448 that were read cannot be used; 2 other files (.doc 2)",
        "skipped a.jpg: no image",
        "740 of 128 images, 10 passes; sgd, learning rate 0.05",
        "about 3m05s: 5s until the first step, then 3m00s with 0.24 s a step and 10 held-out evaluations",
        "3 GB in cache, where 2 GB are free, which is too little",
        "written nothing",
    ):
        assert part in text
    show("pretrain", found | {"is_packed": True, "is_streamed": True})
    assert "5s until the first step (shards are read in order, nothing is packed), then" in capsys.readouterr().out

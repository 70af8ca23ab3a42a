"""An error of a task reaches the comparison in words, whatever process it was in."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from selftaught.core.errors import ProcessError
from selftaught.evaluation.side_by_side import one_task
from selftaught.evaluation.side_by_side.one_task import attempt, row_of
from tests.evaluation.small_run import CONFIG


def test_errors_are_passed_on_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = {"config": CONFIG.replace(data=str(tmp_path / "none"), out=str(tmp_path / "run")).to_dict(), "task": "rot"}
    with pytest.raises(ValueError, match=r"task 'rot': no file or folder .*none") as caught:
        row_of(attempt(order))
    assert "Traceback" in str(caught.value.__cause__)
    assert row_of({"row": {"rank": 0}}) == {"rank": 0}
    monkeypatch.setattr(one_task, "measured_task", lambda order: order["nothing"])
    with pytest.raises(ValueError, match=r"task 'rot': KeyError: no 'nothing' at .*which is your own code"):
        row_of(attempt(order))
    monkeypatch.setattr(one_task, "measured_task", row_of)  # a fault in code of the library
    with pytest.raises(ProcessError, match="task 'rot': KeyError: no 'is_explained' at selftaught"):
        row_of(attempt(order))


def test_a_full_disk_is_said_as_for_a_task_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "all" / "rotation"
    order = {"config": CONFIG.replace(out=str(out)).to_dict(), "task": "rotation"}

    def full(order: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "metrics.csv"))

    monkeypatch.setattr(one_task, "measured_task", full)
    with pytest.raises(ValueError, match=r"--out \S*all: \S*metrics.csv: No space .*; free some space"):
        row_of(attempt(order))

"""Progress: what fits into a line, what is shown before the first step, and how many plain lines there are."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from selftaught.core import progress as module
from selftaught.core.progress import StepProgress, clock, fit, say, working

TITLE = "graph_constraint timm:vit_small_patch16_224 96 px"
FIGURES = ["loss 5.43", "accuracy 0.0391", "images/s 510"]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_line_keeps_count_and_time_left_at_any_width() -> None:
    for width in (30, 40, 60, 80, 100, 200):
        line = fit(TITLE, 1200, 10000, FIGURES, "2h10m left", width)
        assert len(line) <= width, line
        assert "1200/10000" in line
        assert line.endswith("2h10m left")
    wide = fit(TITLE, 1200, 10000, FIGURES, "2h10m left", 200)
    assert all(part in wide for part in (TITLE, *FIGURES))
    assert wide.count("━") == round(40 * 0.12)


def test_metrics_go_before_the_bar_and_the_bar_before_the_title() -> None:
    assert fit("rotation", 5, 10, FIGURES, "9s left", 80).startswith("rotation ━")
    assert "images/s" not in fit("rotation", 5, 10, FIGURES, "9s left", 60)
    assert fit("rotation", 5, 10, FIGURES, "9s left", 24) == "rotation 5/10 9s left"
    assert fit("rotation", 5, 10, FIGURES, "9s left", 16) == "ro… 5/10 9s left"
    assert fit("rotation", 5, 10, FIGURES, "9s left", 13) == "5/10 9s left"


def test_a_terminal_of_80_columns_shows_the_total_and_the_time_left() -> None:
    console = terminal(80)
    with StepProgress(TITLE, 55, console=console) as progress:
        progress.start("clustering")
        progress.update(1, loss=5.4321, accuracy=0.0391, effective=12.3)
    shown = text_of(console)
    assert "clustering" in shown
    assert "0/55" in shown
    assert "1/55" in shown
    assert "left" in shown.rsplit("1/55", 1)[1]


def test_the_metrics_stay_between_two_logged_steps() -> None:
    console = terminal(120)
    with StepProgress("rotation", 55, console=console) as progress:
        progress.update(10, loss=1.25)
        progress.update(11)
    assert "loss 1.25" in text_of(console).rsplit("11/55", 1)[1]


def test_nothing_is_shown_of_work_that_was_done_already() -> None:
    for console in (terminal(80), Console(file=io.StringIO())):
        with StepProgress("packing train", 1756, console=console):
            pass
        assert text_of(console) == ""


def test_plain_lines_begin_with_the_first_step_and_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    console = Console(file=io.StringIO())
    with StepProgress("rotation", 1000, console=console, seconds=10) as progress:
        for step in range(1, 1001):
            now += 0.1
            progress.update(step)
    lines = text_of(console).splitlines()
    assert lines[0] == "rotation 1/1000 1m40s left"
    assert lines[1] == "rotation 101/1000 1m30s left"
    assert lines[-1] == "rotation 1000/1000 0s left"
    assert len(lines) == 11


def test_a_resumed_run_counts_its_own_steps_for_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    console = Console(file=io.StringIO())
    with StepProgress("rotation", 100, start=90, console=console) as progress:
        now = 2.0
        progress.update(91)
    assert text_of(console) == "rotation 91/100 18s left\n"


def test_times_as_people_say_them() -> None:
    assert [clock(s) for s in (0.4, 59, 60, 185, 7860)] == ["0s", "59s", "1m00s", "3m05s", "2h11m"]


def test_a_line_said_beside_something_that_moves_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal(80)
    with StepProgress("rotation", 10, console=console) as progress:
        progress.update(1)
        say("one image was left out")
    assert "one image was left out" in text_of(console)
    assert module._MOVING == []
    console = terminal(80)
    monkeypatch.setattr(module, "Console", lambda **_: console)
    with working("measuring"):
        assert [console] == module._MOVING
        say("the standard stem")
    assert "measuring ..." in text_of(console)
    assert module._MOVING == []

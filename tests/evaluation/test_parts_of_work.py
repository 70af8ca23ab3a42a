from __future__ import annotations

import pytest

from selftaught.evaluation.parts_of_work import PartsOfWork


def test_parts_are_named_with_the_time_that_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.0, 60.0, 180.0])
    work = PartsOfWork("task", 4, is_eager=True, now=lambda: next(times))
    work.begin("rotation")
    work.begin("simclr")
    work.begin("jigsaw")
    assert capsys.readouterr().err.splitlines() == [
        "task 1 of 4: rotation",
        "task 2 of 4: simclr; about 3m00s left",
        "task 3 of 4: jigsaw; about 3m00s left",
    ]


def test_what_is_done_already_and_what_is_quick_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.0, 10.0, 40.0])
    work = PartsOfWork("task", 3, is_eager=True, now=lambda: next(times))
    work.begin("rotation", is_done=True)
    work.begin("simclr")
    work.begin("jigsaw")
    assert capsys.readouterr().err.splitlines() == ["task 2 of 3: simclr", "task 3 of 3: jigsaw; about 40s left"]
    times = iter([0.0, 0.0, 0.5, 1.0, 20.0])
    work = PartsOfWork("measurement", 4, now=lambda: next(times))
    for draw in range(4):
        work.begin(f"draw {draw}")
    assert capsys.readouterr().err.splitlines() == ["measurement 4 of 4: draw 3; about 7s left"]

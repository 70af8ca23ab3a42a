"""All tasks of a comparison in one plot."""

from __future__ import annotations

from typing import Any

from selftaught.report.blocks.rank_figure import FEWEST, rank_figure


def row(task: str, value: float, gain: tuple[float, float] | None) -> dict[str, Any]:
    probe: dict[str, Any] = {"probe": "linear", "metric": "top1", "value": value, "interval": [value - 1, value + 1]}
    if gain is not None:
        probe["gain"] = {"value": sum(gain) / 2, "interval": list(gain)}
    return {"task": task, "probe": probe}


ROWS = [row("a", 70.0, (5, 7)), row("b", 65.0, (-1, 3)), row("c", 60.0, (-6, -2)), row("d", 50.0, None)]


def test_tasks_are_grouped_by_their_gain() -> None:
    figure = rank_figure(ROWS, {"random weights": {"value": 64.0}})
    assert figure is not None
    assert [(line.name, list(line.x), list(line.y)) for line in figure.lines] == [
        ("better than random weights", ["a"], [70.0]),
        ("cannot be distinguished from random weights", ["b"], [65.0]),
        ("worse than random weights", ["c"], [60.0]),
        ("tasks", ["d"], [50.0]),
        ("random weights", ["a", "d"], [64.0, 64.0]),
    ]
    assert figure.lines[0].bars == [(69.0, 71.0)]
    assert figure.lines[0].names == ["a: 70.0"]
    assert (list(figure.order), figure.across) == (["a", "b", "c", "d"], True)
    assert figure.title == "Linear probe, best stage of each task"
    assert figure.note == "Bars: 95 % intervals over the test samples."


def test_random_weights_of_several_encoders_are_a_point_at_each_task() -> None:
    rows = [row(name, 70.0, (5, 7)) for name in "abc"]
    for one, random in zip(rows, (40.0, 40.0, 50.0), strict=True):
        one["probe"]["random"] = {"value": random}
    figure = rank_figure(rows, {"random weights, r3d_18": {"value": 40.0}, "random weights, c3d": {"value": 50.0}})
    assert figure is not None
    last = figure.lines[-1]
    assert last.name == "random weights of the same encoder and clips"
    assert (list(last.x), list(last.y), last.points_only) == (["a", "b", "c"], [40.0, 40.0, 50.0], True)
    assert len(figure.lines) == 2


def test_the_seeds_of_runs_are_shown() -> None:
    figure = rank_figure(ROWS, {}, of="run")
    assert figure is not None
    assert figure.title.endswith("of each run")
    assert "random weights of its own seed" in figure.note


def test_few_tasks_and_tasks_without_a_probe_have_no_plot() -> None:
    assert rank_figure(ROWS[: FEWEST - 1], {}) is None
    assert rank_figure([{"task": name, "probe": None} for name in "abcd"], {}) is None

"""How many steps a run has, and where a step stands when that changes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from selftaught.training.budget.schedule import (
    Schedule,
    few_held_out,
    length_in_words,
    looks_between,
    needed,
    plural,
    repeats,
    too_short,
    warning_of_length,
)
from tests.training.budget.planned import COSTS, planned


def test_the_rate_goes_on_where_it_is_when_the_length_changes() -> None:
    schedule = Schedule(parts=((0, 100),), look_every=10)
    assert [schedule.place(step) for step in (0, 17, 99)] == [0.0, 17.0, 99.0]
    changed = schedule.changed(40, 60).changed(50, 90)
    places = [changed.place(step) for step in range(91)]
    assert places[:41] == list(map(float, range(41)))
    assert places[50] == pytest.approx(40 + 10 * 60 / 20)
    assert places[90] == pytest.approx(100)
    assert all(0 < b - a <= 3.0001 for a, b in pairwise(places))
    assert [step for step in range(90) if changed.passes(step, {0, 40, 45, 99})] == [0, 40, 42, 89]
    assert [step for step in range(100) if schedule.passes(step, {0, 40, 99})] == [0, 40, 99]


def test_a_schedule_is_read_as_it_was_written(tmp_path: Path) -> None:
    schedule = planned(COSTS, 60.0).changed(9, 80)
    (tmp_path / "budget.json").write_text(json.dumps(schedule.to_dict()))
    assert Schedule.load(tmp_path / "budget.json") == schedule
    (tmp_path / "budget.json").write_text("{}")
    with pytest.raises(ValueError, match=r"budget.json is damaged"):
        Schedule.load(tmp_path / "budget.json")


def test_what_is_too_short_by_experience() -> None:
    assert [needed(per_epoch) for per_epoch in (0.5, 70, 300, 390.6, 10000)] == [400, 400, 600, 781, 800]
    assert too_short(90, 70.0)
    assert not too_short(400, 70.0)
    assert too_short(400, 390.6)
    words = length_in_words(90, 128, 9000 / 128, 9000)
    assert words == "90 steps of 128 images, 1.3 passes over 9,000 images"
    assert length_in_words(1, 8, 1.0, 1, "video") == "1 step of 8 videos, 1.0 pass over 1 video"
    assert "90 steps (1.3 passes) are too few" in warning_of_length(90, 9000 / 128)


def test_looks_of_a_run_are_few_where_the_held_out_part_is_large() -> None:
    assert looks_between(1000, 100.0, 1.0, 0.7) == 100
    assert looks_between(55, 5.0, 1.0, 5.3) == 26
    assert looks_between(6, 13.5, 0.1) == 1


def test_held_out_samples_that_are_too_few_are_reported() -> None:
    assert few_held_out(5) == ""
    assert few_held_out(1).startswith("1 held-out sample is too few to measure by")
    assert few_held_out(4).startswith("4 held-out samples are too few to measure by")


def test_a_batch_larger_than_the_data_is_reported() -> None:
    assert repeats(8, 0.75) == ""
    assert repeats(16, 2 / 16) == (
        "each batch of 16 holds each of the 2 samples about 8 times; give more data or lower --batch-size"
    )
    assert [plural(noun, 2) for noun in ("step", "pass", "image")] == ["steps", "passes", "images"]
    assert plural("pass", 1) == "pass"

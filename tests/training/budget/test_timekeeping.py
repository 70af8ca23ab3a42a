"""How many steps fit into a budget, and how a run is held to it."""

from __future__ import annotations

import dataclasses

import pytest

from selftaught.training.budget.schedule import (
    Schedule,
)
from selftaught.training.budget.timekeeping import Timekeeper, longest
from tests.training.budget.planned import COSTS, Clock, planned


@pytest.mark.parametrize("seconds", [10.0, 30.0, 60.0, 120.0, 3600.0])
def test_what_fits_is_filled_and_looks_do_not_dominate(seconds: float) -> None:
    schedule = planned(COSTS, seconds)
    taken = COSTS.left(0, schedule)
    assert 0.9 * seconds - 0.5 - 1.5 <= taken <= seconds
    looks = (schedule.steps - 1) // schedule.look_every
    assert looks * COSTS.stop(schedule.look_samples) <= 0.1 * seconds + COSTS.stop(schedule.look_samples)
    assert COSTS.look(schedule.look_samples) <= max(0.1 + 64 * COSTS.row, 0.1 + 0.05 * seconds)


def test_longest_is_the_last_one_that_fits() -> None:
    schedule = planned(COSTS, 60.0)
    steps = longest(COSTS, 0, schedule, 60.0)
    assert COSTS.left(0, dataclasses.replace(schedule, parts=((0, steps),))) <= 60
    assert COSTS.left(0, dataclasses.replace(schedule, parts=((0, steps + 1),))) > 60
    assert longest(COSTS, 17, schedule, 0.0) == 17
    assert longest(COSTS, 0, schedule, 0.0) == 1


def test_pseudo_labels_of_all_samples_are_counted_as_often_as_they_are_computed() -> None:
    costs = dataclasses.replace(COSTS, refresh=5.0, between=20)
    assert [costs.refreshes(0, steps) for steps in (1, 20, 21, 60)] == [1, 1, 2, 3]
    assert [costs.refreshes(done, 60) for done in (0, 1, 20, 21, 41)] == [3, 2, 2, 1, 0]
    assert planned(costs, 60.0).steps < planned(COSTS, 60.0).steps


def run_against(clock: Clock, pace: Timekeeper, schedule: Schedule, step: float) -> Schedule:
    """Steps of so many seconds, with the looks and checkpoints that COSTS has."""
    done = 0
    while done < schedule.steps:
        clock.time += step
        done += 1
        if pace.is_due(done, schedule):
            steps = pace.steps(done, schedule)
            schedule = schedule if steps == schedule.steps else schedule.changed(done, steps)
            pace.go_on(done, schedule)
        if done % schedule.look_every == 0 or done >= schedule.steps:
            with pace.noted("look", schedule):
                clock.time += COSTS.look(schedule.look_samples)
            for _ in range(2):
                with pace.noted("save", schedule):
                    clock.time += COSTS.save
    clock.time += COSTS.ending(schedule.look_samples) - COSTS.stop(schedule.look_samples)
    return schedule


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("seconds", [30.0, 60.0, 120.0, 600.0])
def test_a_run_ends_in_time_though_its_steps_were_measured_wrong(factor: float, seconds: float) -> None:
    clock = Clock()
    schedule = planned(COSTS, seconds)
    pace = Timekeeper(COSTS, ends=seconds, seconds=seconds, now=clock)
    ended = run_against(clock, pace, schedule, COSTS.step * factor)
    assert clock.time <= seconds * 1.05 + COSTS.step * factor
    assert clock.time >= seconds * 0.85 - COSTS.step * factor
    if factor == 1.0:
        assert len(ended.parts) == 1


def test_a_run_whose_steps_are_given_is_never_changed() -> None:
    schedule = Schedule(parts=((0, 10),), look_every=10)
    assert not any(Timekeeper().is_due(done, schedule) for done in range(1, 11))

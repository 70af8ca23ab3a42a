"""A time budget: what fits by given speeds, how a run is held to it, what is said before, and exact resuming."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.data.batch import Sampling
from selftaught.training.budget import length as budget
from selftaught.training.budget.length import given_length, length_within, promise
from selftaught.training.budget.schedule import (
    Schedule,
    length_in_words,
    looks_between,
    needed,
    too_short,
    warning_of_length,
)
from selftaught.training.budget.timekeeping import Costs, Timekeeper, longest, plan
from selftaught.training.budget.trial import Trial
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.data import Data, open_data
from selftaught.training.encoder_of_run import load_encoder, random_encoder, read_config
from selftaught.training.run_folder import describe_environment
from selftaught.training.setup import resolve
from selftaught.training.step import Training
from selftaught.training.train import train

COSTS = Costs(step=0.5, row=0.002, save=0.3)
SMALL = RunConfig(
    data="synthetic:N=120,side=32",
    out="",
    task="rotation",
    encoder="resnet18",
    size=32,
    batch_size=8,
    stem="standard",
    log_every=1,
    precision="32-true",
)

QUICK = dataclasses.replace(SMALL, encoder="timm:test_resnet")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def planned(costs: Costs, seconds: float, **changes: Any) -> Schedule:
    given: dict[str, Any] = {"per_epoch": 70.0, "evaluate_every": 1.0, "held_out": 1000, "budget": f"{seconds}s"}
    return plan(costs, seconds, **given | changes)


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


def test_pseudo_labels_of_all_samples_are_counted_as_often_as_they_are_made() -> None:
    costs = dataclasses.replace(COSTS, refresh=5.0, between=20)
    assert [costs.refreshes(0, steps) for steps in (1, 20, 21, 60)] == [1, 1, 2, 3]
    assert [costs.refreshes(done, 60) for done in (0, 1, 20, 21, 41)] == [3, 2, 2, 1, 0]
    assert planned(costs, 60.0).steps < planned(COSTS, 60.0).steps


def test_a_budget_that_cannot_be_kept_is_said() -> None:
    slow = dataclasses.replace(COSTS, step=6.0, row=0.05)
    schedule = planned(slow, 2.0)
    assert schedule.steps == 1
    line = promise(slow, schedule, 10.0, 8.0)
    assert line is not None
    assert line.startswith("--budget 2.0s cannot be kept: preparing took 8s, one step takes about 6 s")
    assert promise(COSTS, planned(COSTS, 52.0), 60.0, 8.0) is None


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


@pytest.fixture
def opened() -> Iterator[tuple[RunConfig, Data, Fabric]]:
    fabric = Fabric(accelerator="cpu", devices=1)
    asked = dataclasses.replace(SMALL, stem="auto", budget="60s")
    data = open_data(asked, fabric)
    yield resolve(asked, data), data, fabric
    data.loader.close()


@pytest.mark.parametrize(
    ("speeds", "stem", "steps"),
    [
        ({"standard": 0.01, "small": 0.05}, "auto", (700, 1200)),
        ({"standard": 0.01, "small": 0.5}, "standard", (3000, 6000)),
        ({"standard": 1.0}, "standard", (30, 60)),
    ],
)
def test_auto_takes_the_stem_that_the_budget_allows(
    opened: tuple[RunConfig, Data, Fabric],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    speeds: dict[str, float],
    stem: str,
    steps: tuple[int, int],
) -> None:
    config, data, fabric = opened

    def measured(of: RunConfig, task: Any, *_: Any, **__: Any) -> Costs:
        return Costs(step=speeds[task.encoder.stem] / (10 if of.encoder == "alexnet" else 1), row=1e-4)

    monkeypatch.setattr(budget, "measure", measured)
    monkeypatch.setattr(budget, "monotonic", lambda: 0.0)
    length = length_within(config, data, fabric, begin=0.0)
    assert length.config.stem == stem
    assert length.config.budget is None
    assert steps[0] <= length.schedule.steps <= steps[1]
    assert length.config.steps == length.schedule.steps
    said = capsys.readouterr().err
    assert ("--stem auto takes the standard stem" in said) == (stem == "standard")
    warning = length.warning(length.schedule.steps, data.loader.steps_per_epoch)
    if steps[1] == 60:
        assert "are too few to learn much" in warning
        assert "--encoder alexnet (about 10 times as fast)" in warning
        assert "--budget 8m" in warning
    else:
        assert warning == ""


def test_a_stem_that_was_asked_for_stays(
    opened: tuple[RunConfig, Data, Fabric], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data, fabric = opened
    monkeypatch.setattr(budget, "measure", lambda *_, **__: Costs(step=1.0, row=1e-4))
    monkeypatch.setattr(budget, "monotonic", lambda: 0.0)
    length = length_within(dataclasses.replace(config, stem="small"), data, fabric, begin=0.0)
    assert length.config.stem == "small"


def test_a_run_of_few_steps_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(dataclasses.replace(QUICK, out=str(tmp_path / "run"), steps=2))
    said = capsys.readouterr().err
    assert "2 steps of 8 images, 0.15 passes over 108 images" in said
    assert "warning: 2 steps (0.15 passes) are too few" in said
    summary = json.loads((run / "summary.json").read_text())
    assert "better: --steps 400 or more" in summary["warnings"][0]
    assert not (run / "budget.json").exists()
    data = open_data(SMALL, Fabric(accelerator="cpu", devices=1))
    long = given_length(dataclasses.replace(SMALL, steps=400), data)
    assert long.warning(400, data.loader.steps_per_epoch) == ""
    data.loader.close()


class Changing(Timekeeper):
    """Makes a run of 12 steps one of 8 after its fifth step."""

    def __init__(self) -> None:
        super().__init__(COSTS, ends=1e9, seconds=1.0)

    def is_due(self, done: int, schedule: Schedule) -> bool:
        return done == 5 and len(schedule.parts) == 1

    def steps(self, done: int, schedule: Schedule) -> int:
        return 8


def test_a_run_that_was_given_another_length_is_resumed_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selftaught.training import train as module

    class Stop(Exception):  # noqa: N818
        pass

    monkeypatch.setattr(module, "timekeeper_of", lambda *_: Changing())
    monkeypatch.setattr(budget, "plan", lambda *_, **__: Schedule(parts=((0, 12),), look_every=3, budget="60s"))
    monkeypatch.setattr(budget, "measure", lambda *_, **__: COSTS)
    asked = dataclasses.replace(QUICK, out=str(tmp_path / "whole"), budget="60s", checkpoint_every=4)
    whole = train(asked)
    assert read_config(whole).steps == 8
    assert json.loads((whole / "budget.json").read_text())["steps"] == [[0, 12], [5, 8]]
    assert json.loads((whole / "summary.json").read_text())["steps"] == 8
    rates = [float(row["lr"]) for row in csv.DictReader((whole / "metrics.csv").read_text().splitlines())]
    assert len(rates) == 8
    assert rates[-1] < 0.2 * max(rates)
    original = Training.step

    def stopping(self: Training, step: int, batch: Any) -> dict[str, torch.Tensor]:
        if step == 6:
            raise Stop
        return original(self, step, batch)

    monkeypatch.setattr(Training, "step", stopping)
    with pytest.raises(Stop):
        train(dataclasses.replace(asked, out=str(tmp_path / "stopped")))
    monkeypatch.undo()
    stopped = train(dataclasses.replace(asked, out=str(tmp_path / "stopped"), resume=True))
    one, other = (load_checkpoint(run / "checkpoints" / "last.safetensors")[0] for run in (whole, stopped))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    for name in ("metrics.csv", "heldout.csv", "budget.json", "config.json"):
        if name != "config.json":
            assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name


def test_evaluation_uses_the_stem_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "measure", lambda *_, **__: Costs(step=1200.0, row=1e-4))
    run = train(dataclasses.replace(SMALL, out=str(tmp_path / "run"), stem="auto", budget="10m"))
    config = read_config(run)
    assert config.stem == "standard"
    assert random_encoder(config).stem == load_encoder(run).stem == "standard"


def test_a_comparison_has_one_stem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = {("rotation", "small"): 0.05, ("simclr", "small"): 0.5}

    def measured(of: RunConfig, task: Any, *_: Any, **__: Any) -> Costs:
        return Costs(step=speeds.get((of.task, task.encoder.stem), 0.01), row=1e-4)

    monkeypatch.setattr(budget, "measure", measured)
    asked = dataclasses.replace(SMALL, stem="auto", budget="60s", out=str(tmp_path))
    runs = [dataclasses.replace(asked, task=task, out=str(tmp_path / task)) for task in ("rotation", "simclr")]
    assert budget.stem_for_all(runs) == "standard"
    assert "so it is for all tasks, by the speed of simclr" in capsys.readouterr().err
    assert budget.stem_for_all(runs[:1]) == "auto"
    assert budget.stem_for_all([dataclasses.replace(run, budget=None, steps=5) for run in runs]) == "auto"
    assert budget.stem_for_all([dataclasses.replace(run, stem="small") for run in runs]) == "small"
    (tmp_path / "rotation").mkdir()
    began = describe_environment(dataclasses.replace(runs[0], stem="small"))
    (tmp_path / "rotation" / "environment.json").write_text(json.dumps(began))
    assert budget.stem_for_all([dataclasses.replace(run, resume=True) for run in runs]) == "small"


class Timed(Trial):
    """Steps that take as long as they are said to: a fixed part and one for each sample, slower the first time."""

    def __init__(self, rows: int, fixed: float, each: float) -> None:
        self.rows, self.fixed, self.each = rows, fixed, each
        self.config = dataclasses.replace(SMALL, batch_size=rows)
        self.data = SimpleNamespace(sampling=Sampling())  # type: ignore[assignment]
        self.fabric = Fabric(accelerator="cpu", devices=1)
        self.clock = Clock()
        self.seen: list[int] = []

    def _step(self, rows: int) -> tuple[float, float]:
        taken = (self.fixed + self.each * rows) * (1 if rows in self.seen else 3)
        self.seen.append(rows)
        self.clock.time += taken
        return 0.0, taken


@pytest.mark.parametrize(
    ("fixed", "each", "allowed", "whole", "within"),
    [
        (0.05, 0.002, 3.0, True, 6.0),  # fast: whole batches
        (0.05, 0.035, 6.0, False, 12.0),  # 4.5 s with 128: two sizes tell
        (0.0, 0.035, 0.3, False, 1.5),  # no time for more than the smallest
    ],
)
def test_a_step_is_measured_within_bounds(
    monkeypatch: pytest.MonkeyPatch, fixed: float, each: float, allowed: float, whole: bool, within: float
) -> None:
    timed = Timed(128, fixed, each)
    monkeypatch.setattr("selftaught.training.budget.trial.monotonic", timed.clock)
    assert timed.step_seconds(allowed) == pytest.approx(fixed + 128 * each)
    assert (128 in timed.seen) == whole
    assert timed.clock.time <= within

"""A time budget: what fits by given speeds, how a run is held to it, what is said before, and exact resuming."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.training.budget import length as budget
from selftaught.training.budget.length import given_length, length_within, promise
from selftaught.training.budget.schedule import (
    Schedule,
)
from selftaught.training.budget.timekeeping import Costs, Timekeeper
from selftaught.training.data import Data, open_data
from selftaught.training.encoder_of_run import read_config
from selftaught.training.run_folder import describe_environment
from selftaught.training.setup import resolve, spec_for
from selftaught.training.train import train
from tests.training.budget.planned import COSTS, SMALL, planned
from tests.training.stopping import assert_same_run, stopped_before

QUICK = SMALL.replace(encoder="timm:test_resnet")


def test_a_budget_that_cannot_be_kept_is_said() -> None:
    slow = dataclasses.replace(COSTS, step=6.0, row=0.05)
    schedule = planned(slow, 2.0)
    assert schedule.steps == 1
    line = promise(slow, schedule, 10.0, 8.0)
    assert line is not None
    assert line.startswith("--budget 2.0s cannot be kept: preparing took 8s, one step takes about 6 s")
    assert promise(COSTS, planned(COSTS, 52.0), 60.0, 8.0) is None


@pytest.fixture
def opened() -> Iterator[tuple[RunConfig, Data, Fabric]]:
    fabric = Fabric(accelerator="cpu", devices=1)
    asked = SMALL.replace(stem="auto", budget="60s")
    data = open_data(asked, spec_for(asked), fabric)
    yield resolve(asked, spec_for(asked), data), data, fabric
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
        return Costs(step=speeds[task.encoder.stem] / (10 if of.network.encoder == "alexnet" else 1), row=1e-4)

    monkeypatch.setattr(budget, "measure", measured)
    monkeypatch.setattr(budget, "monotonic", lambda: 0.0)
    length = length_within(config, spec_for(config), data, fabric, begin=0.0)
    assert length.config.network.stem == stem
    assert length.config.length.budget is None
    assert steps[0] <= length.schedule.steps <= steps[1]
    assert length.config.length.steps == length.schedule.steps
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
    length = length_within(config.replace(stem="small"), spec_for(config), data, fabric, begin=0.0)
    assert length.config.network.stem == "small"


def test_a_run_of_few_steps_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(QUICK.replace(out=str(tmp_path / "run"), steps=2))
    said = capsys.readouterr().err
    assert "2 steps of 8 images, 0.15 passes over 108 images" in said
    assert "warning: 2 steps (0.15 passes) are too few" in said
    summary = json.loads((run / "summary.json").read_text())
    assert "better: --steps 400 or more" in summary["warnings"][0]
    assert not (run / "budget.json").exists()
    data = open_data(SMALL, spec_for(SMALL), Fabric(accelerator="cpu", devices=1))
    long = given_length(SMALL.replace(steps=400), data)
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

    monkeypatch.setattr(module, "timekeeper_of", lambda *_: Changing())
    monkeypatch.setattr(budget, "plan", lambda *_, **__: Schedule(parts=((0, 12),), look_every=3, budget="60s"))
    monkeypatch.setattr(budget, "measure", lambda *_, **__: COSTS)
    asked = QUICK.replace(out=str(tmp_path / "whole"), budget="60s", checkpoint_every=4)
    whole = train(asked)
    assert read_config(whole).length.steps == 8
    assert json.loads((whole / "budget.json").read_text())["steps"] == [[0, 12], [5, 8]]
    assert json.loads((whole / "summary.json").read_text())["steps"] == 8
    rates = [float(row["lr"]) for row in csv.DictReader((whole / "metrics.csv").read_text().splitlines())]
    assert len(rates) == 8
    assert rates[-1] < 0.2 * max(rates)
    with stopped_before(6):
        train(asked.replace(out=str(tmp_path / "stopped")))
    monkeypatch.undo()
    stopped = train(asked.replace(out=str(tmp_path / "stopped"), resume=True))
    assert_same_run(whole, stopped, "metrics.csv", "heldout.csv", "budget.json")


def test_a_comparison_has_one_stem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = {("rotation", "small"): 0.05, ("simclr", "small"): 0.5}

    def measured(of: RunConfig, task: Any, *_: Any, **__: Any) -> Costs:
        return Costs(step=speeds.get((of.task, task.encoder.stem), 0.01), row=1e-4)

    monkeypatch.setattr(budget, "measure", measured)
    asked = SMALL.replace(stem="auto", budget="60s", out=str(tmp_path))
    runs = [asked.replace(task=task, out=str(tmp_path / task)) for task in ("rotation", "simclr")]

    def stem(runs: list[RunConfig], **changes: Any) -> str:
        return budget.stem_for_all([(run.replace(**changes), spec_for(run)) for run in runs])

    assert stem(runs) == "standard"
    assert "so it is for all tasks, by the speed of simclr" in capsys.readouterr().err
    assert stem(runs[:1]) == "auto"
    assert stem(runs, budget=None, steps=5) == "auto"
    assert stem(runs, stem="small") == "small"
    (tmp_path / "rotation").mkdir()
    began = describe_environment(runs[0].replace(stem="small"))
    (tmp_path / "rotation" / "environment.json").write_text(json.dumps(began))
    assert stem(runs, resume=True) == "small"

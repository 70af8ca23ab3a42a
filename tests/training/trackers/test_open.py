"""Metrics in the trackers that a run names: offline, in the first process, and going on after a stop."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from selftaught.core.config import RunConfig
from selftaught.training.trackers.open import check_trackers, open_trackers
from tests.training.small_run import SMALL


def test_names_are_separated_by_commas_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SMALL.replace(logger="csv, mlflow,wandb,mlflow", tensorboard=True).folder
    assert found.trackers == ("mlflow", "wandb", "tensorboard")
    with pytest.raises(ValueError, match=r"^unknown --logger 'wand'; did you mean wandb\? Known: csv, tensorboard"):
        SMALL.replace(logger="tensorboard,wand")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^--logger mlflow needs a package: pip install 'selftaught\[mlflow\]'$"):
        check_trackers(found)
    check_trackers(SMALL.folder)


def test_one_that_cannot_start_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, settings: Any) -> Any:
        raise RuntimeError("no\n key")

    monkeypatch.setattr("selftaught.training.trackers.open._TRACKERS", {"wandb": (broken, ())})
    with pytest.raises(ValueError, match=r"^--logger wandb cannot be started: no key$"):
        open_trackers(["wandb"], tmp_path, {})


@pytest.mark.slow  # trains a run twice
def test_a_run_and_its_second_part_are_one_in_the_tracker(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from selftaught.training.train import train

    asked: RunConfig = SMALL.replace(out=str(tmp_path / "run"), logger="tensorboard")
    train(asked)
    train(asked.replace(steps=8, resume=True))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 9))
    assert events.Scalars("heldout/accuracy")[-1].step == 8
    assert "logger" in json.loads((tmp_path / "run" / "config.json").read_text())

"""What a run writes down while it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning_fabric import Fabric

from selftaught.core.progress import StepProgress
from selftaught.training.run_folder import RunFolder
from selftaught.training.run_log import RunLog
from selftaught.training.speed import Speed
from tests.training.small_run import SMALL, rows

FIGURES = {"loss": 1.25, "accuracy": 0.5, "rankme": 40.4, "alignment": 0.5, "uniformity": -3.0, "feature_std": 0.9}


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def test_rows_have_step_epoch_and_metrics(tmp_path: Path, fabric: Fabric, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunLog(RunFolder(tmp_path), fabric, SMALL, steps_per_epoch=4.0)
    speed = Speed(8)
    speed.add(0.5, 2.0)
    log.training(6, 0.01, {"loss": 1.5, "accuracy": 0.25}, speed)
    with StepProgress("t", 10, is_shown=True) as progress:
        log.held_out(6, FIGURES, "accuracy", 100, progress)
    log.refreshed(5, {"clusters": 3.0})
    log.refreshed(6, {})
    (metrics,), (held,), (fresh,), (timed,) = (
        rows(tmp_path / f"{name}.csv") for name in ("metrics", "heldout", "refresh", "speed")
    )
    assert {name: float(value) for name, value in metrics.items()} == {
        "step": 6, "epoch": 1.5, "lr": 0.01, "loss": 1.5, "accuracy": 0.25,
    }  # fmt: skip
    assert {name: float(value) for name, value in held.items()} == {"step": 6, "epoch": 1.5, **FIGURES}
    assert {name: float(value) for name, value in fresh.items()} == {"step": 6, "clusters": 3}
    assert float(timed["images_per_second"]) == 4.0
    said = capsys.readouterr().err
    assert "step 6: held-out loss 1.250, accuracy 0.500, effective rank 40, spread 0.90" in said
    assert "collapsed" not in said


def test_a_collapse_is_warned_of(tmp_path: Path, fabric: Fabric, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunLog(RunFolder(tmp_path), fabric, SMALL, steps_per_epoch=4.0)
    with StepProgress("t", 10, is_shown=True) as progress:
        log.held_out(6, FIGURES | {"rankme": 1.0, "feature_std": 0.0}, "accuracy", 100, progress)
    assert "warning: " in capsys.readouterr().err


def test_other_processes_write_nothing(tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog(RunFolder(tmp_path), fabric, SMALL, steps_per_epoch=4.0)
    log.is_written = False
    speed = Speed(8)
    speed.add(0.0, 1.0)
    log.training(1, 0.1, {"loss": 1.0}, speed)
    log.refreshed(1, {"a": 1.0})
    assert not list(tmp_path.glob("*.csv"))

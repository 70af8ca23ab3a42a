"""Metrics in each tracker: offline, and going on after a stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.training.trackers.open import open_trackers
from selftaught.training.trackers.services import kept_id
from tests.training.small_run import SMALL


def _log_twice(name: str, folder: Path) -> str | None:
    """A run that is stopped after step 2 and resumed."""
    folder.mkdir()
    settings = SMALL.replace(out=str(folder)).to_dict()
    ids = []
    for steps, is_good in (((1, 2), False), ((3,), True)):
        (tracker,) = open_trackers([name], folder, settings)
        for step in steps:
            tracker.log({"train/loss": 1.0 / step}, step)
        tracker.close(is_good=is_good)
        ids.append(kept_id(folder, name))
    assert ids[0] == ids[1]
    return ids[0]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _log_twice("tensorboard", tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [
        (1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)),
    ]  # fmt: skip


@pytest.mark.slow  # seconds: imports MLflow and makes its database
def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "true")
    run = _log_twice("mlflow", tmp_path / "run")
    assert run is not None
    client = MlflowClient()
    assert [(m.step, m.value) for m in client.get_metric_history(run, "train/loss")] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    found = client.get_run(run)
    assert found.info.status == "FINISHED"
    assert found.data.params["task"] == "rotation"


@pytest.mark.slow  # seconds: starts W&B's own process
def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = _log_twice("wandb", tmp_path / "run")
    assert run is not None
    folders = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*-{run}"))
    assert folders
    assert all(any(folder.glob("*.wandb")) for folder in folders)


@pytest.mark.slow  # seconds: imports Trackio
def test_trackio_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    run = _log_twice("trackio", tmp_path / "run")
    assert run is not None
    assert any((tmp_path / "trackio").rglob("*.db"))

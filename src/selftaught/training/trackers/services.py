"""Programs that keep the metrics of many runs, each behind the same three lines. Their packages are extras."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftaught.core.files import digest, read_object
from selftaught.core.own_folder import write_json

PROJECT = "selftaught"
"""Project or experiment of a run, unless the environment names another."""
_IDS = "trackers.json"
"""File of a run folder: what the run is called in each program, so that --resume goes on there."""


class Tracker(ABC):
    """One program that metrics are sent to; a run that is resumed goes on in what it began."""

    @abstractmethod
    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics by "train/NAME" or "heldout/NAME", after so many steps."""

    @abstractmethod
    def close(self, *, is_good: bool) -> None:
        """Write what is left; `is_good` says that the run ended without an error."""


class TensorBoard(Tracker):
    """Events in the folder `tensorboard` of the run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        self._logger = TensorBoardLogger(folder, name="tensorboard", version="")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._logger.log_metrics(dict(metrics), step=step)

    def close(self, *, is_good: bool) -> None:
        self._logger.finalize("success" if is_good else "failed")


class Wandb(Tracker):
    """A run of Weights & Biases; WANDB_PROJECT, WANDB_ENTITY and WANDB_MODE are heeded, such as offline."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        name = kept_id(folder, "wandb") or keep_id(folder, "wandb", new_id(folder))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.resolve().name,
            id=name,
            resume="allow",
            dir=str(folder),
            config=dict(settings),
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self, *, is_good: bool) -> None:
        self._run.finish(exit_code=0 if is_good else 1)


class MLflow(Tracker):
    """A run of MLflow; MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME are heeded."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._client, self._metric = MlflowClient(), Metric
        known_id = kept_id(folder, "mlflow")
        if known_id is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            known = self._client.get_experiment_by_name(name)
            experiment = known.experiment_id if known else self._client.create_experiment(name)
            run = self._client.create_run(experiment, run_name=folder.resolve().name)
            self._id: str = keep_id(folder, "mlflow", str(run.info.run_id))
            given = [Param(key, str(value)[:500]) for key, value in settings.items() if value is not None]
            self._client.log_batch(self._id, params=given)
        else:
            self._id = known_id
            self._client.update_run(self._id, status="RUNNING")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        import time

        now = int(time.time() * 1000)
        rows = [self._metric(name, float(value), now, step) for name, value in metrics.items()]
        self._client.log_batch(self._id, metrics=rows)

    def close(self, *, is_good: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if is_good else "FAILED")


class Trackio(Tracker):
    """A run of Trackio, kept on this machine unless TRACKIO_SPACE_ID names a space; TRACKIO_PROJECT is heeded."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import trackio

        name = kept_id(folder, "trackio")
        is_new = name is None
        name = name or keep_id(folder, "trackio", f"{folder.resolve().name}-{new_id(folder)}")
        self._run: Any = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=name,
            config=dict(settings),
            resume="never" if is_new else "allow",
            embed=False,
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self, *, is_good: bool) -> None:
        self._run.finish()


def kept_id(folder: Path, tracker: str) -> str | None:
    """What the run is called in a program; None where it was not logged there before."""
    path = folder / _IDS
    found = read_object(path).get(tracker) if path.is_file() else None
    return found if isinstance(found, str) else None


def keep_id(folder: Path, tracker: str, name: str) -> str:
    """Write down what the run is called there; returns it."""
    path = folder / _IDS
    known = read_object(path) if path.is_file() else {}
    write_json(path, known | {tracker: name})
    return name


def new_id(folder: Path) -> str:
    """A short name that no other run has."""
    return digest([str(folder.resolve()), os.urandom(16).hex()])[:8]

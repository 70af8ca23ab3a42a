"""The trackers that a run names, opened in its first process alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selftaught.core.settings.groups import FolderSettings
from selftaught.training.trackers.services import MLflow, TensorBoard, Tracker, Trackio, Wandb

_TRACKERS: Mapping[str, tuple[Callable[..., Tracker], tuple[str, ...]]] = {
    "tensorboard": (TensorBoard, ("tensorboard", "tensorboardX")),
    "wandb": (Wandb, ("wandb",)),
    "mlflow": (MLflow, ("mlflow",)),
    "trackio": (Trackio, ("trackio",)),
}
"""Name, which is also that of the extra -> how it is opened, and the packages of which one must be there."""


def check_trackers(asked: FolderSettings) -> None:
    """Raise a ValueError for a tracker whose package is not installed."""
    for name in asked.trackers:
        if not any(importlib.util.find_spec(package) for package in _TRACKERS[name][1]):
            raise ValueError(f"--logger {name} needs a package: pip install 'selftaught[{name}]'")


def open_trackers(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> list[Tracker]:
    """Open these, so that a run that is resumed goes on in what it began.

    Raises:
        ValueError: in one sentence, where one cannot be started.
    """
    opened: list[Tracker] = []
    for name in names:
        try:
            opened.append(_TRACKERS[name][0](folder, settings))
        except Exception as error:
            for tracker in opened:
                tracker.close(is_good=False)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"--logger {name} cannot be started: {reason}") from error
    return opened

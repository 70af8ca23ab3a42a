"""What a run writes down while it trains: rows of its CSV files, TensorBoard's events, lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning_fabric import Fabric

from selftaught.core.progress import StepProgress
from selftaught.features.diagnostics import collapse_warning
from selftaught.training.run_folder import RunFolder
from selftaught.training.speed import Speed


class RunLog:
    """The log of a run; the first process alone writes it."""

    def __init__(self, folder: RunFolder, fabric: Fabric, *, steps_per_epoch: float, tensorboard: bool = False) -> None:
        self.is_written = fabric.is_global_zero
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self._loggers = [_tensorboard(folder)] if tensorboard and self.is_written else []

    def training(self, done: int, lr: float, row: Mapping[str, float], speed: Speed) -> None:
        """One row of metrics.csv and one of speed.csv."""
        if self.is_written:
            self._append("metrics.csv", "train", done, row, lr=lr)
            self.folder.append("speed.csv", {"step": done, **speed.row()})

    def held_out(
        self, done: int, figures: Mapping[str, float], metric: str, samples: int, progress: StepProgress
    ) -> None:
        """One row of heldout.csv, and a line for people with the metrics that say whether the run is well."""
        if not self.is_written:
            return
        self._append("heldout.csv", "heldout", done, figures)
        progress.say(
            f"step {done}: held-out loss {figures['loss']:.3f}, {metric} {figures[metric]:.3f}, "
            f"effective rank {figures['rankme']:.0f}"
            + (f", spread {figures['feature_std']:.2f}" if samples > 1 else "")
        )
        if (warning := collapse_warning(figures, samples)) is not None:
            progress.say(f"warning: {warning}")

    def refreshed(self, step: int, scalars: Mapping[str, float]) -> None:
        """One row of refresh.csv: what the task says of the pseudo-labels that serve from the step after `step` on."""
        if scalars and self.is_written:
            self.folder.append("refresh.csv", {"step": step + 1, **scalars})

    def _append(self, file: str, group: str, done: int, row: Mapping[str, float], **more: float) -> None:
        self.folder.append(file, {"step": done, "epoch": done / self.steps_per_epoch, **more, **row})
        for logger in self._loggers:
            logger.log_metrics({f"{group}/{name}": value for name, value in row.items()}, step=done)


def _tensorboard(folder: RunFolder) -> Any:
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    try:
        return TensorBoardLogger(folder.path, name="tensorboard", version="")
    except ModuleNotFoundError:
        raise ValueError("--tensorboard needs a package: pip install 'selftaught[tensorboard]'") from None

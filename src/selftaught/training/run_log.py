"""What a run writes down while it trains: rows of its CSV files, the same for trackers, lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.progress import StepProgress
from selftaught.features.diagnostics import collapse_warning
from selftaught.training.run_folder import RunFolder
from selftaught.training.speed import Speed
from selftaught.training.trackers.open import open_trackers


class RunLog:
    """The log of a run; the first process alone writes it."""

    def __init__(self, folder: RunFolder, fabric: Fabric, config: RunConfig, *, steps_per_epoch: float) -> None:
        self.is_written = fabric.is_global_zero
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        names = config.folder.trackers if self.is_written else ()
        self._trackers = open_trackers(names, folder.path, config.to_dict())

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._trackers:
            tracker.close(is_good=error is None)

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
        for tracker in self._trackers:
            tracker.log({f"{group}/{name}": value for name, value in {**more, **row}.items()}, done)

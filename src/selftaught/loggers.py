"""Where scalars go beside the CSV files of the run folder."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric

from selftaught.config import RunConfig
from selftaught.run import RunFolder


def loggers_of(config: RunConfig, folder: RunFolder, fabric: Fabric) -> list[Any]:
    """TensorBoard's, where it was asked for; of the first process alone."""
    if not config.tensorboard or not fabric.is_global_zero:
        return []
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    try:
        return [TensorBoardLogger(folder.path, name="tensorboard", version="")]
    except ModuleNotFoundError:
        raise ValueError("--tensorboard needs a package: pip install 'selftaught[tensorboard]'") from None


def check_finite(row: dict[str, float], step: int, config: RunConfig) -> None:
    """Refuse to go on with a loss that is no number."""
    if row["loss"] != row["loss"] or abs(row["loss"]) == float("inf"):
        raise ValueError(
            f"the loss is {row['loss']} at step {step + 1}; lower --lr (it is {config.lr}) or set --clip 1"
        )

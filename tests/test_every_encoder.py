"""Every image pretext task with an encoder of every family, on photographs: it takes steps and its loss falls."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

import selftaught
from selftaught.catalogue import list_tasks

pytestmark = pytest.mark.slow

ENCODERS = ("alexnet", "vgg11", "googlenet", "resnet18", "densenet121")
TASKS = tuple(task.name for task in list_tasks() if task.needs == ("image",))
# In a game of two the sum of their losses says nothing: the side that has most to learn at the start.
LOSS = {
    "artifacts": "loss_autoencoder",
    "bigan": "loss_discriminator",
    "gan": "loss_discriminator",
    "inpainting": "loss_generator",
    "super_resolution": "loss_generator",
}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("task", TASKS)
def test_takes_steps_and_lowers_its_loss(
    task: str, encoder: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data, out = shared_data("imagenette128"), tmp_path / "run"
    budget = {"limit": 48, "batch_size": 24, "steps": 24, "log_every": 1, "evaluate_every": 100.0}
    selftaught.pretrain(data, task=task, encoder=encoder, size=32, out=out, **budget)  # type: ignore[arg-type]
    with (out / "metrics.csv").open() as file:
        losses = [float(row[LOSS.get(task, "loss")]) for row in csv.DictReader(file)]
    assert len(losses) == 24
    assert sum(losses[-6:]) < sum(losses[:6]), losses

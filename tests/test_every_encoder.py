"""Every image pretext task with an encoder of every family, on photographs: it takes steps and its loss falls."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

import selftaught
from selftaught.tasks.catalogue import list_tasks
from tests.fitting_encoder import needs_tokens

pytestmark = pytest.mark.slow

ENCODERS = ("alexnet", "vgg11", "googlenet", "resnet18", "densenet121")
TASKS = tuple(task.name for task in list_tasks() if task.needs == ("image",) and not needs_tokens(task.name))
# In a game of two the sum of their losses says nothing: the side that has most to learn at the start.
LOSS = {
    "artifacts": "loss_discriminator",
    "bigan": "loss_discriminator",
    "gan": "loss_discriminator",
    "super_resolution": "loss_generator",
}


# They begin slowly: eight positions, few pairs a step, games in which either side may be ahead at first, and images
# that are interpolated to begin with.
STEPS = {"artifacts": 72, "bigan": 72, "context_prediction": 72, "graph_constraint": 216, "super_resolution": 72}
# With so few images an epoch is two steps, and clusters made anew would be learned from the start again.
SETTINGS = {"clustering": {"every": 12.0}}
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenette128" / "imagenette128.zip"
TRAINING, HELD_OUT = 48, 24


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few photographs of every class: looks at thousands of held-out ones would take most of the time."""
    if not SHARED.exists():
        pytest.skip("real data set 'imagenette128' is not beside this checkout")
    folder = tmp_path_factory.mktemp("photographs")
    with zipfile.ZipFile(SHARED) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg"))]
        for part, count in (("train", TRAINING), ("val", HELD_OUT)):
            own = [name for name in names if name.startswith(f"{part}/")]
            for name in own[:: len(own) // count][:count]:
                archive.extract(name, folder)
    return folder


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("task", TASKS)
def test_takes_steps_and_lowers_its_loss(task: str, encoder: str, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    # The published first layers where images of 32 pixels pass them: the small ones see four times the places.
    stem = "auto" if encoder in ("alexnet", "vgg11") else "standard"
    steps = STEPS.get(task, 24)
    budget = {"batch_size": 24, "steps": steps, "log_every": 1, "evaluate_every": 100.0, "size": 32, "stem": stem}
    own = SETTINGS.get(task, {})
    selftaught.pretrain(photographs, task=task, encoder=encoder, out=out, task_settings=own, **budget)  # type: ignore[arg-type]
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == steps
    # A player that does not move in a step has no loss there.
    losses = [float(value) for row in rows if (value := row[LOSS.get(task, "loss")])]
    part = len(losses) // 4
    assert sum(losses[-part:]) < sum(losses[:part]), losses

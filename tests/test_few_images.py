"""Every image task on five images: it takes its steps, or says in a sentence that it needs more."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught import pretrain
from selftaught.tasks.catalogue import list_tasks
from tests.fitting_encoder import fitting, needs_tokens

QUICK = ("bigan", "deep_embedded_clustering", "graph_constraint", "noise_as_targets")
NEED_MORE = {
    "deep_embedded_clustering": r"--task.clusters 10 is more than the \d training samples",
    "graph_constraint": r"found no two of \d images that are far from each other; it needs more images",
}
NARROW = {"bigan": {"width": 16, "hidden": 16, "discriminator_width": 8}}
"""Settings with which a network of a task is small."""
TASKS = [
    pytest.param(task.name, marks=() if task.name in QUICK else pytest.mark.slow)
    for task in list_tasks()
    if task.needs == ("image",)
]


@pytest.mark.parametrize("name", TASKS)
def test_takes_steps_on_five_images_or_says_why_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    noise = np.random.default_rng(0)
    for number in range(5):
        pixels = noise.integers(0, 256, (48, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
    encoder = "resnet18" if name == "split_brain" else fitting(name, "timm:test_resnet")
    settings = {
        "encoder": encoder,
        "size": 32,
        "stem": "auto" if needs_tokens(name) else "standard",
        "steps": 3,
        "log_every": 1,
        "task_settings": NARROW.get(name, {}),
    }
    if name in NEED_MORE:
        with pytest.raises(ValueError, match=NEED_MORE[name]):
            pretrain(tmp_path / "data", task=name, out=tmp_path / "run", **settings)  # type: ignore[arg-type]
        return
    pretrain(tmp_path / "data", task=name, out=tmp_path / "run", **settings)  # type: ignore[arg-type]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)

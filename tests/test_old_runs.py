"""A run folder that an earlier version wrote is still read: loaded, evaluated, resumed and reported."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught

OLD = Path(__file__).parent / "old_runs" / "rotation"
EMBEDDING = [0.0407292, 0.0233524, -0.0664766, 0.0442541, 0.0094705, -0.0090723, -0.0241974, 0.0556421]
"""Every 32nd of 256 numbers."""
LOSSES = [1.4213868, 1.3735783, 1.4366834, 1.4710889, 1.4870872, 1.4042447]
"""Of six steps that nothing stopped."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "run")


def test_its_encoder_embeds_an_image_as_before() -> None:
    image = torch.arange(3 * 32 * 32, dtype=torch.float32).mul(0.05).sin().reshape(1, 3, 32, 32)
    with torch.no_grad():
        embedding = selftaught.load_encoder(OLD)(image)[0]
    torch.testing.assert_close(embedding[::32], torch.tensor(EMBEDDING), atol=1e-5, rtol=0)
    assert float(embedding.norm()) == pytest.approx(0.4790, abs=1e-4)


def test_it_is_evaluated(run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        for name, low in (("dark", 0), ("bright", 200)):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            image = rng.integers(low, low + 50, (32, 32, 3), np.uint8)
            Image.fromarray(image).save(tmp_path / "data" / name / f"{i}.png")
    result = selftaught.evaluate(
        run, tmp_path / "data", probe="knn", probe_settings={"k": 3}, folds=1, accelerator="cpu"
    )
    assert (result["train_samples"], result["test_samples"], result["value"]) == (12, 4, 100.0)


def test_it_is_resumed_to_the_end_it_would_have_had_and_reported(run: Path) -> None:
    asked = json.loads((run / "environment.json").read_text())["asked"]
    assert asked.pop("warmup") == 0.05  # the default of then, which the recipe says now
    summary = selftaught.pretrain(**(asked | {"out": run, "resume": True}))
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["loss"]) for row in rows] == pytest.approx(LOSSES, abs=1e-4)
    assert (summary["steps"], summary["metric"], summary["train_samples"]) == (6, "accuracy", 48)
    page = Path(selftaught.write_report(run)["out"]).read_text()
    assert "rotation" in page
    assert "test_efficientnet" in page


def test_it_is_not_resumed_with_a_setting_that_it_did_not_know(run: Path) -> None:
    asked = json.loads((run / "environment.json").read_text())["asked"]
    with pytest.raises(ValueError, match=r"settings the run in .* began with: momentum was None, now 0.5"):
        selftaught.pretrain(**(asked | {"out": run, "resume": True, "momentum": 0.5}))

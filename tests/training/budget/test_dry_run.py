"""What is said of a run before it begins is what the run then does, and nothing is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught import api
from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.training.budget import dry_run as rehearsal
from selftaught.training.budget.dry_run import dry_run
from selftaught.training.data import open_data
from selftaught.training.setup import build_task, resolve, spec_for
from tests.training.small_run import SMALL


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 images, one of which is broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "07.png").write_text("no image")
    return folder


@pytest.fixture
def asked(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rehearsal, "SECONDS", 0.05)
    return SMALL.replace(data=str(photos), out=str(tmp_path / "run"), steps=None, epochs=3, accelerator="cpu")


def test_it_says_what_the_run_does_and_writes_nothing(asked: RunConfig, tmp_path: Path) -> None:
    found = dry_run(asked, begin=time.monotonic())
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    spec, fabric = spec_for(asked), make_fabric(asked.machine, is_partly_used=False)
    data = open_data(asked, spec, fabric)
    data.loader.close()
    config = resolve(asked, spec, data)
    assert (found["train_samples"], found["heldout_samples"]) == (data.loader.count, len(data.held_out))
    assert (found["steps"], found["lr"]) == (config.length.steps, config.optim.lr)
    assert found["skipped"] == 1
    assert found["skipped_files"] == [list(row) for row in data.skipped]
    task = build_task(spec, config)
    assert found["task_parameters"] == sum(p.numel() for p in task.parameters())
    assert found["disk"]["store"]["bytes"] == pytest.approx(_bytes_below(tmp_path / "cache"), rel=0.2)
    assert found["is_packed"] is False
    assert found["memory"]["host"] > 5e7
    assert found["seconds"] == pytest.approx(sum(found["seconds_of"].values()), abs=0.3)  # of rounded parts
    assert dry_run(asked, begin=time.monotonic())["is_packed"] is True  # by the run that opened them


def test_of_many_samples_a_few_are_read(asked: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "IMAGES", 12)
    found = dry_run(asked, begin=time.monotonic())
    assert found["is_estimate"] is True
    assert found["decoded"] < 20
    assert 28 <= found["train_samples"] <= 40
    assert found["steps"] == round(3 * found["train_samples"] / 8)


def test_what_cannot_be_is_refused(asked: RunConfig) -> None:
    words: dict[str, Any] = {"out": asked.folder.out, "dry_run": True}
    with pytest.raises(ValueError, match=r"^--dry-run is about a run from its first step; leave out --resume$"):
        api.pretrain(asked.data.path, resume=True, **words)


def test_no_run_folder_needs_to_be_named(asked: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings: Any = {name: value for name, value in asked.to_dict().items() if name not in ("data", "out")}
    found = api.pretrain(asked.data.path, dry_run=True, **settings | {"limit": 8})
    assert (found["dry_run"], found["disk"]["run"]["path"]) == (True, ".")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "stores").rglob("*") if path.is_file())

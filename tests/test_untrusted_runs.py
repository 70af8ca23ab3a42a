"""A run folder from somebody else: no verb that reads it runs code that it names."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import selftaught
from selftaught.cli import main as cli
from selftaught.core.config import RunConfig
from selftaught.training.run_folder import RunFolder
from selftaught.training.train import train

EVIL = """
from pathlib import Path
Path({marker!r}).write_text("code ran")
from selftaught import PretextTask
class Evil(PretextTask):
    def inputs(cls, config): return {{"image": Image()}}
"""
NAMED = ("dl/evil.py", "dl.evil", "jigsaw+dl/evil.py", "jigsaw+dl.evil")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    rng = np.random.default_rng(0)
    for number in range(110):
        path = folder / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (20, 20, 3), dtype=np.uint8))
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    return train(
        RunConfig.of(
            data=str(photos),
            out=str(out),
            task="rotation",
            encoder="timm:test_resnet",
            size=32,
            steps=1,
            batch_size=8,
            accelerator="cpu",
        )
    )


@pytest.fixture
def downloaded(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A copy of the run in dl/run whose files name a task of their own; the current folder is the one above."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    folder = tmp_path / "dl"
    shutil.copytree(trained, folder / "run")
    (folder / "__init__.py").write_text(EVIL.format(marker=str(tmp_path / "marker")))
    (folder / "evil.py").write_text(EVIL.format(marker=str(tmp_path / "marker")))

    def name(task: str) -> Path:
        for file in ("config.json", "environment.json", "summary.json"):
            path = folder / "run" / file
            found = json.loads(path.read_text())
            (found["asked"] if file == "environment.json" else found)["task"] = task
            path.write_text(json.dumps(found))
        return folder / "run"

    return name


@pytest.mark.parametrize("task", NAMED)
def test_no_verb_runs_what_a_run_folder_names(
    task: str, downloaded: Callable[[str], Path], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data, query = downloaded(task), str(photos), str(photos / "cat" / "1.png")
    calls: list[list[str]] = [
        ["evaluate", str(run), data, "--probe", "knn"],
        ["evaluate", str(run), data, "--probe", "label_free"],
        ["embed", str(run), data, "--out", "f.parquet"],
        ["search", str(run), data, "--query", query, "--top", "2"],
        ["export", str(run), "--out", "weights.pth"],
        ["report", str(run)],
        ["report", "dl", "--format", "csv"],
    ]
    if task != "dl/evil.py":
        calls = calls[:3]
    else:
        calls += [["evaluate", str(run), data, "--probe", "linear"], ["report", str(run), "--format", "latex"]]
    for words in calls:
        assert cli.main(words) == 0, (words, capsys.readouterr().err)
    assert cli.main(["agreement", "dl"]) == 2
    assert selftaught.load_encoder(run).num_features == 96
    assert not Path("marker").exists()


def test_resuming_a_folder_loads_the_task_that_was_asked_for(
    downloaded: Callable[[str], Path], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = downloaded("rotation")
    environment = json.loads((run / "environment.json").read_text())
    del environment["content"]  # the place of the data is what is compared then
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"task": "dl/evil.py"}))
    asked: dict[str, Any] = environment["asked"]
    with pytest.raises(ValueError, match="task"):
        train(RunConfig.of(**(asked | {"out": str(run), "resume": True})))
    # The encoder trained with the labels lies in the run folder too, and is resumed.
    (run / "config.json").write_text(json.dumps(config))
    teacher = RunFolder(run / "supervised")
    shutil.copytree(run, teacher.path, ignore=shutil.ignore_patterns("supervised"))
    (teacher.path / "summary.json").unlink()
    (teacher.path / "config.json").write_text(json.dumps(config | {"task": "dl/evil.py"}))
    same = asked | config | {"data": str(photos), "out": str(teacher.path), "task": "supervised", "resume": True}
    same |= {"task_settings": {}, "optimizer": "auto", "lr": None, "weight_decay": None, "stream": "auto"}
    (teacher.path / "environment.json").write_text(json.dumps(environment | {"asked": same}))
    assert cli.main(["evaluate", str(run), str(photos), "--probe", "knn", "--supervised"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not Path("marker").exists()


def test_a_run_of_an_own_task_is_read_without_its_file(
    downloaded: Callable[[str], Path], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = downloaded("../elsewhere/quadrant_order.py")
    assert cli.main(["evaluate", str(run), str(photos), "--probe", "knn"]) == 0
    assert cli.main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "quadrant_order: run" in page
    assert "elsewhere" not in page.partition("<details")[0]

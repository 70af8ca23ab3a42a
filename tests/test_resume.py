"""What --resume goes on with, and what a signal leaves behind."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.checkpoint import load_checkpoint
from selftaught.config import RunConfig
from selftaught.run import RunFolder
from selftaught.signals import Terminated

SETTINGS: Any = {"task": "rotation", "size": 32, "batch_size": 4, "steps": 4, "precision": "32-true", "held_out": 0.3}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / "photos" / f"p{i:02d}.png")
    return tmp_path / "photos"


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send this process a signal in the middle of that step."""
    from selftaught.train import Training

    real = Training.step

    def send(self: Training, at: int, batch: Any) -> Any:
        if at == step:
            os.kill(os.getpid(), number)
        return real(self, at, batch)

    monkeypatch.setattr(Training, "step", send)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_run_goes_on_exactly(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    selftaught.pretrain(data, out=tmp_path / "whole", **SETTINGS)
    with monkeypatch.context() as patch:
        stop_at(patch, 1, number)
        with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt):
            selftaught.pretrain(data, out=tmp_path / "cut", checkpoint_every=4, **SETTINGS)
    last = tmp_path / "cut" / "checkpoints" / "last.safetensors"
    assert load_checkpoint(last)[1]["step"] == 2
    moved = shutil.copytree(data, tmp_path / "moved")
    selftaught.pretrain(f"{moved}/", out=tmp_path / "cut", resume=True, log_every=1, evaluate_every=0.3, **SETTINGS)
    whole, _ = load_checkpoint(tmp_path / "whole" / "checkpoints" / "last.safetensors")
    cut, _ = load_checkpoint(last)
    assert all(whole[name].equal(cut[name]) for name in whole)
    assert not [p for p in (tmp_path / "cut").rglob(".*") if p.name != ".selftaught"]


def test_a_finished_run_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    selftaught.pretrain(data, out=tmp_path / "run", **SETTINGS)
    before = (tmp_path / "run" / "summary.json").read_bytes()
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, **SETTINGS)
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_changed_data_are_refused_unless_asked(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 1, signal.SIGTERM)
        with pytest.raises(Terminated):
            selftaught.pretrain(data, out=tmp_path / "run", **SETTINGS)
    for i in range(4):
        Image.new("RGB", (40, 40), (i, 0, 0)).save(data / f"new{i}.png")
    with pytest.raises(ValueError, match=r"holds other samples or labels than the data the run in .* began with"):
        selftaught.pretrain(data, out=tmp_path / "run", resume=True, **SETTINGS)
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, changed_data=True, **SETTINGS)
    assert (tmp_path / "run" / "summary.json").exists()


def test_the_looks_of_a_budget_stay_as_planned(data: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"steps": None, "budget": "1m"}
    folder = RunFolder(tmp_path / "run")
    folder.prepare(RunConfig(data=str(data), out=str(tmp_path / "run"), **settings), "content")
    folder.release()
    asked = RunConfig(data=str(data), out=str(tmp_path / "run"), resume=True, evaluate_every=0.5, **settings)
    with pytest.raises(ValueError, match=r"began with: evaluate_every was 1.0, now 0.5"):
        folder.check(asked)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "{}", '{"asked": {"data": 3}}'])
def test_a_damaged_environment_is_one_sentence(data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text(text)
    asked = RunConfig(data=str(data), out=str(tmp_path / "run"), resume=True, **SETTINGS)
    with pytest.raises(ValueError, match=r"environment.json (is damaged|holds a list)"):
        RunFolder(tmp_path / "run").check(asked)


@pytest.mark.parametrize("length", [{"steps": 8}, {"steps": None, "epochs": 9.0}])
def test_another_length_is_refused_with_what_to_do(data: Path, tmp_path: Path, length: dict[str, Any]) -> None:
    asked = RunConfig(data=str(data), out=str(tmp_path / "run"), **SETTINGS)
    folder = RunFolder(tmp_path / "run")
    folder.prepare(asked, "content")
    folder.release()
    longer = dataclasses.replace(asked, resume=True, **length)
    with pytest.raises(ValueError, match=r"began with \(--steps 4, now --(steps 8|epochs 9.0)\).* in another --out"):
        folder.check(longer)


def test_changed_labels_are_refused_where_the_task_learns_from_them(data: Path, tmp_path: Path) -> None:
    def write(shift: int) -> None:
        rows = "".join(f"p{i:02d}.png,{'ab'[(i + shift) % 2]}\n" for i in range(12))
        (data / "labels.csv").write_text("file,label\n" + rows)

    settings = SETTINGS | {"task": "supervised", "steps": 1}
    write(0)
    selftaught.pretrain(data, out=tmp_path / "run", **settings)
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, **settings)
    write(1)
    with pytest.raises(ValueError, match="holds other samples or labels than the data"):
        selftaught.pretrain(data, out=tmp_path / "run", resume=True, **settings)

"""What --resume goes on with, and what a signal leaves behind."""

from __future__ import annotations

import csv
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught
from selftaught.core.config import RunConfig
from selftaught.core.own_folder import write_json
from selftaught.core.signals import Terminated
from selftaught.tasks.context import rotation
from selftaught.tasks.resolve import resolve_task
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import read_config
from selftaught.training.optimizers import learning_rate
from selftaught.training.resume import as_begun, notes_of_task_files
from selftaught.training.run_folder import RunFolder
from selftaught.training.train import _of_same_run
from tests.training.stopping import assert_same_run, stopped_before

SETTINGS: Any = {
    "task": "rotation",
    "encoder": "timm:test_resnet",
    "size": 32,
    "batch_size": 4,
    "steps": 4,
    "precision": "32-true",
    "held_out": 0.3,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / "photos" / f"p{i:02d}.png")
    return tmp_path / "photos"


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send this process a signal in the middle of that step."""
    from selftaught.training.step import Training

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
    with pytest.raises(ValueError, match=r"holds other samples, names or labels than the data the run in .* began"):
        selftaught.pretrain(data, out=tmp_path / "run", resume=True, **SETTINGS)
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, changed_data=True, **SETTINGS)
    assert (tmp_path / "run" / "summary.json").exists()


def test_the_looks_of_a_budget_stay_as_planned(data: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"steps": None, "budget": "1m"}
    folder = RunFolder(tmp_path / "run")
    folder.prepare(RunConfig.of(data=str(data), out=str(tmp_path / "run"), **settings), "content")
    folder.release()
    asked = RunConfig.of(data=str(data), out=str(tmp_path / "run"), resume=True, evaluate_every=0.5, **settings)
    with pytest.raises(ValueError, match=r"began with: evaluate_every was 1.0, now 0.5"):
        folder.check(asked)


@pytest.mark.parametrize(("began", "resumed"), [(True, False), (False, True)])
def test_a_run_goes_on_in_the_precision_that_auto_chose(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: bool, resumed: bool
) -> None:
    """Also on a machine where it would choose another one."""
    settings = SETTINGS | {"precision": "auto", "checkpoint_every": 1, "accelerator": "cpu", "steps": 3}

    def machine(*, has_bf16: bool) -> None:
        monkeypatch.setattr("selftaught.core.precision.fast_bf16", lambda _: has_bf16)

    machine(has_bf16=began)
    selftaught.pretrain(data, out=tmp_path / "whole", **settings)
    with stopped_before(2):
        selftaught.pretrain(data, out=tmp_path / "run", **settings)
    machine(has_bf16=resumed)
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, **settings)
    assert read_config(tmp_path / "run").machine.precision == ("bf16-mixed" if began else "32-true")
    assert_same_run(tmp_path / "whole", tmp_path / "run", "heldout.csv")


def test_a_range_of_values_that_auto_chose_stays(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    asked = RunConfig.of(data=str(data), out=str(tmp_path / "run"), resume=True, **SETTINGS)
    assert as_begun(folder, asked) is asked
    folder.path.mkdir()
    write_json(folder.path / "config.json", asked.replace(value_range="0,4095", stream="never").to_dict())
    assert as_begun(folder, asked) == asked.replace(value_range="0,4095", stream="never")
    other = asked.replace(value_range="0,255")
    assert as_begun(folder, other).data.value_range == "0,255"
    assert as_begun(folder, asked.replace(resume=False)).data.value_range == "auto"
    (folder.path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"config.json is damaged"):
        as_begun(folder, asked)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "{}", '{"asked": {"data": 3}}'])
def test_a_damaged_environment_is_one_sentence(data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text(text)
    asked = RunConfig.of(data=str(data), out=str(tmp_path / "run"), resume=True, **SETTINGS)
    with pytest.raises(ValueError, match=r"environment.json (is damaged|holds a list)"):
        RunFolder(tmp_path / "run").check(asked)


@pytest.mark.parametrize(
    ("began", "length"),
    [
        ({}, {"steps": 3}),
        ({}, {"steps": None}),
        ({}, {"steps": None, "budget": "5m"}),
        ({"steps": None, "epochs": 2.0}, {"steps": None, "epochs": 1.5}),
    ],
)
def test_a_length_that_is_not_larger_is_refused(
    data: Path, tmp_path: Path, began: dict[str, Any], length: dict[str, Any]
) -> None:
    asked = RunConfig.of(data=str(data), out=str(tmp_path / "run"), **SETTINGS | began)
    folder = RunFolder(tmp_path / "run")
    folder.prepare(asked, "content")
    folder.release()
    other = RunConfig.of(data=str(data), out=str(tmp_path / "run"), resume=True, **SETTINGS | length)
    with pytest.raises(ValueError, match=r"or a larger one in --steps or --epochs .* in another --out"):
        folder.check(other)


def test_the_length_of_a_budget_stays(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = RunFolder(run)
    folder.prepare(RunConfig.of(data=str(data), out=str(run), **SETTINGS | {"steps": None, "budget": "1m"}), "content")
    folder.release()
    with pytest.raises(ValueError, match=r"\(--budget 1m, now --steps 800\), as its .* in another --out by --weights "):
        folder.check(RunConfig.of(data=str(data), out=str(run), resume=True, **SETTINGS | {"steps": 800}))


def test_a_finished_run_is_extended(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    selftaught.pretrain(data, out=run, log_every=1, **SETTINGS)
    longer = SETTINGS | {"steps": 8}
    summary = selftaught.pretrain(data, out=run, resume=True, log_every=1, **longer)
    assert summary["steps"] == 8
    assert "planned for 4 steps and made longer at step 4" in summary["notes"][-1]
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    peak = read_config(run).optim.lr
    assert peak is not None
    rates = f"({float(rows[3]['lr']):.3g} in the step before, {float(rows[4]['lr']):.3g} in the next, falling to 0)"
    assert rates in summary["notes"][-1]
    assert [float(row["lr"]) for row in rows[4:]] == pytest.approx(
        [learning_rate(s, 8, peak, 0.05) for s in range(4, 8)]
    )
    last = run / "checkpoints" / "last.safetensors"
    weights = last.read_bytes()
    assert selftaught.pretrain(data, out=run, resume=True, log_every=1, **longer) == summary  # nothing is left to do
    assert last.read_bytes() == weights
    with pytest.raises(ValueError, match=r"--steps 8, now --steps 4"):
        selftaught.pretrain(data, out=run, resume=True, **SETTINGS)
    with pytest.raises(ValueError, match=r"longer, not shorter: the run in .* has 8 steps, now 2 are asked for"):
        selftaught.pretrain(data, out=run, resume=True, **SETTINGS | {"steps": None, "epochs": 1})


def test_a_longer_run_that_is_cut_goes_on_exactly(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = SETTINGS | {"steps": None, "epochs": 4.0}
    selftaught.pretrain(data, out=tmp_path / "whole", **SETTINGS)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    selftaught.pretrain(data, out=tmp_path / "whole", resume=True, **longer)
    with monkeypatch.context() as patch:
        stop_at(patch, 5, signal.SIGTERM)
        with pytest.raises(Terminated):
            selftaught.pretrain(data, out=tmp_path / "cut", resume=True, **longer)
    assert not (tmp_path / "cut" / "summary.json").exists()
    selftaught.pretrain(data, out=tmp_path / "cut", resume=True, **longer)
    whole, cut = (load_checkpoint(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("whole", "cut"))
    assert whole[1]["step"] == cut[1]["step"] == 9
    assert all(whole[0][name].equal(cut[0][name]) for name in whole[0])


def test_compare_resumed_with_other_settings_is_refused(data: Path, tmp_path: Path) -> None:
    asked = SETTINGS | {"steps": 1}
    del asked["task"]
    selftaught.compare(data, tasks="rotation", out=tmp_path / "runs", **asked)
    again = selftaught.compare(data, tasks="rotation", out=tmp_path / "runs", resume=True, **asked)
    assert again["rows"][0]["task"] == "rotation"
    with pytest.raises(ValueError, match="seed was 0, now 5"):
        selftaught.compare(data, tasks="rotation", out=tmp_path / "runs", resume=True, seed=5, **asked)
    (data / "p00.png").unlink()
    with pytest.raises(ValueError, match="holds other samples, names or labels"):
        selftaught.compare(data, tasks="rotation", out=tmp_path / "runs", resume=True, **asked)


def test_changed_labels_are_refused_where_the_task_learns_from_them(data: Path, tmp_path: Path) -> None:
    def write(shift: int) -> None:
        rows = "".join(f"p{i:02d}.png,{'ab'[(i + shift) % 2]}\n" for i in range(12))
        (data / "labels.csv").write_text("file,label\n" + rows)

    settings = SETTINGS | {"task": "supervised", "steps": 1}
    write(0)
    selftaught.pretrain(data, out=tmp_path / "run", **settings)
    selftaught.pretrain(data, out=tmp_path / "run", resume=True, **settings)
    write(1)
    with pytest.raises(ValueError, match="holds other samples, names or labels than the data"):
        selftaught.pretrain(data, out=tmp_path / "run", resume=True, **settings)


def test_a_task_file_that_was_changed_is_told(tmp_path: Path) -> None:
    file, folder = tmp_path / "turns.py", RunFolder(tmp_path)
    shutil.copy(str(rotation.__file__), file)
    write_json(tmp_path / "environment.json", {"asked": {"data": ""}, "machine": {"threads": 1}})

    def notes(start: int, task: str = str(file)) -> list[str]:
        return notes_of_task_files(folder, resolve_task(task, {}), start)

    assert notes(0) == notes(2) == notes(0, "rotation") == []
    file.write_text(file.read_text() + "\n# another idea\n")
    told = "turns.py was changed: from step 3 on, the run is trained by its new text"
    assert notes(3) == notes(4) == notes(5, f"simclr+{file}") == [told]
    file.write_text(file.read_text() + "# and another\n")
    assert notes(6) == [told, told.replace("step 3", "step 6")]


def test_what_does_not_fit_a_checkpoint_is_named(tmp_path: Path) -> None:
    told = "last.safetensors does not belong to the run described beside it: size mismatch for weight: copying a param"
    with pytest.raises(ValueError, match=told), _of_same_run(tmp_path / "last.safetensors"):
        torch.nn.Linear(2, 2).load_state_dict(torch.nn.Linear(3, 2).state_dict())

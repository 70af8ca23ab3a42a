"""The loop: it learns, it resumes bit for bit after a kill, and it refuses what cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from selftaught.core.config import RunConfig
from selftaught.tasks.context.rotation import Rotation
from selftaught.training.budget.length import Length
from selftaught.training.budget.schedule import Schedule
from selftaught.training.checkpoint import load_checkpoint, restore_optimizer
from selftaught.training.encoder_of_run import load_encoder, read_config
from selftaught.training.look import judge
from selftaught.training.setup import build_task, spec_for
from selftaught.training.train import _prepare, train
from tests.training.small_run import SMALL, config, rows
from tests.training.stopping import assert_same_run, stopped_before


def test_the_run_folder_holds_everything(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["steps"] == 6
    assert summary["chance"] == 0.25
    assert [row["step"] for row in rows(finished / "metrics.csv")] == [str(i) for i in range(1, 7)]
    assert set(rows(finished / "heldout.csv")[0]) >= {"loss", "accuracy", "rankme", "alignment", "uniformity"}
    assert (finished / "skipped.csv").read_text() == "path,reason\n"
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["versions"]["torch"]
    pictures = json.loads((finished / "pictures" / "pictures.json").read_text())
    assert len(pictures["samples"]) == 8
    for sample in pictures["samples"]:
        assert (finished / "pictures" / sample["inputs"][0]).exists()
    resolved = read_config(finished)
    assert (resolved.optim.optimizer, resolved.optim.lr, resolved.task_settings["angles"]) == ("sgd", 0.1 * 8 / 256, 4)


def test_resuming_gives_the_run_that_never_stopped(finished: Path, tmp_path: Path) -> None:
    with stopped_before(5):
        train(config(tmp_path / "run"))
    assert [row["step"] for row in rows(tmp_path / "run" / "metrics.csv")][-1] == "5"
    resumed = train(config(tmp_path / "run", resume=True))
    assert_same_run(finished, resumed, "metrics.csv", "heldout.csv")


SCHEDULED = {
    "optimizer": "lars", "momentum": 0.8, "weight_decay": 0.04, "final_weight_decay": 0.4, "warmup": 0.5, "clip": 0.1,
    "steps": 4,
}  # fmt: skip


def test_resuming_goes_on_with_momentum_weight_decay_and_clip(tmp_path: Path) -> None:
    whole = train(config(tmp_path / "whole", **SCHEDULED))
    with stopped_before(3):
        train(config(tmp_path / "run", **SCHEDULED))
    assert_same_run(whole, train(config(tmp_path / "run", resume=True, **SCHEDULED)))
    tensors, meta = load_checkpoint(whole / "checkpoints" / "last.safetensors")
    decayed, free = restore_optimizer(tensors, meta["optimizer"])["param_groups"]
    assert (decayed["momentum"], free["momentum"], free["weight_decay"]) == (0.8, 0.8, 0.0)
    assert decayed["weight_decay"] == pytest.approx(0.4 - 0.36 * (1 - 0.5**0.5) / 2)  # of the fourth of four steps


@pytest.mark.slow
def test_kill_9_at_any_moment(finished: Path, tmp_path: Path) -> None:
    given = [
        "pretrain", SMALL.data.path, "--task", "rotation", "--encoder", SMALL.network.encoder, "--stem", "standard",
        "--size", "32",
        "--batch-size", "8", "--steps", "6", "--log-every", "1", "--checkpoint-every", "2",
        "--precision", "32-true", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    command = [sys.executable, "-m", "selftaught", *given]
    killed = 0
    for wait in (4.0, 6.0, 7.0, 8.0, 9.0):
        process = subprocess.Popen([*command, "--resume"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(wait)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    assert killed > 0
    assert_same_run(finished, tmp_path / "run", "metrics.csv")


def test_a_run_is_not_overwritten_by_accident_nor_resumed_with_other_settings(finished: Path) -> None:
    with pytest.raises(ValueError, match=r"--resume or replace it with --overwrite"):
        train(config(finished))
    with pytest.raises(ValueError, match=r"lr was None, now 0.5"):
        train(config(finished, lr=0.5, resume=True))
    assert (finished / "summary.json").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files"):
        train(config(tmp_path, overwrite=True))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_damaged_checkpoint_is_refused_and_the_run_stays_whole(finished: Path, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(finished, run)
    environment = json.loads((run / "environment.json").read_text())
    environment["asked"]["out"] = str(run)
    (run / "environment.json").write_text(json.dumps(environment))
    path = run / "checkpoints" / "last.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    metrics = (run / "metrics.csv").read_bytes()
    with pytest.raises(ValueError, match="damaged"):
        train(config(run, resume=True))
    assert (run / "metrics.csv").read_bytes() == metrics
    with pytest.raises(ValueError, match="damaged"):
        load_encoder(run)


def test_a_budget_sets_the_steps(tmp_path: Path) -> None:
    begin = time.monotonic()
    run = train(config(tmp_path / "run", steps=None, budget="2s", log_every=1000))
    seconds = time.monotonic() - begin
    steps = read_config(run).length.steps
    assert steps is not None
    assert steps >= 1
    assert read_config(run).length.budget is None
    assert rows(run / "heldout.csv")[-1]["step"] == str(steps)
    assert seconds < 40


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(config(tmp_path / "run", steps=1))
    assert torch.equal(torch.rand(4), expected)


def test_an_encoder_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trains an encoder for images, but 'r3d_18' takes clips"):
        train(config(tmp_path / "run", encoder="r3d_18"))


def test_a_handful_of_samples_is_not_praised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One held-out image has no other to be told from: chance is 1, and a batch holds each sample many times."""
    rng = np.random.default_rng(0)
    for i in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    config = RunConfig.of(
        data=str(tmp_path / "photos"), out=str(tmp_path / "run"), task="simclr", stem="standard", size=32,
        batch_size=16, steps=1, precision="32-true",
    )  # fmt: skip
    summary = json.loads((train(config) / "summary.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert summary["chance"] == 1.0
    assert summary["feature_std"] is None
    said = "each batch of 16 holds each of the 2 samples about 8 times; give more data or lower --batch-size"
    assert said in summary["warnings"]
    assert said in capsys.readouterr().err
    assert not any("collapsed" in warning for warning in summary["warnings"])


class TwoGPUs:
    """What the loop asks of Fabric before the first step, without GPUs."""

    world_size = 2
    device = torch.device("cuda")

    def setup_module(self, task: Any) -> Any:
        return task

    def setup_optimizers(self, optimizer: Any) -> Any:
        return optimizer


@pytest.mark.parametrize("is_shared", [True, False])
def test_processes_on_gpus_share_the_statistics_of_batch_norm_unless_the_task_says_no(
    is_shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rotation, "shares_statistics", is_shared)
    settings = config(tmp_path, lr=0.1, optimizer="sgd", weight_decay=0.0)
    spec = spec_for(settings)
    task = build_task(spec, settings)
    length = Length(config=settings, schedule=Schedule(parts=((0, 6),), look_every=6))
    fabric: Any = TwoGPUs()
    found = _prepare(fabric, length, spec, task, None, Any, 0.0).task  # type: ignore[arg-type]
    norms = [module for module in found.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, nn.SyncBatchNorm) == is_shared for norm in norms)


def test_a_signal_in_the_last_step_ends_what_comes_after_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the next task of a comparison, which went on as if nothing had come."""

    def looked(*given: Any, **named: Any) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return judge(*given, **named)

    monkeypatch.setattr("selftaught.training.train.judge", looked)
    with pytest.raises(KeyboardInterrupt):
        train(config(tmp_path / "run", steps=1))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 1

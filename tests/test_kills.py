"""SIGKILL at random moments: the next good run ends as one that nobody killed, and nothing is left over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.cli.main import main
from selftaught.tasks.context.rotation import Rotation
from selftaught.training.checkpoint import load_checkpoint
from tests.two_processes import own_process

RUN = (
    *("--stem", "standard", "--size", "32", "--batch-size", "8", "--log-every", "1"),
    *("--checkpoint-every", "2", "--precision", "32-true", "--seed", "3"),
)
TINY = ("--encoder", "timm:test_resnet")
SEED = 20


@dataclass(frozen=True)
class Trial:
    """One verb in a place of its own, with the cache beside it."""

    place: Path
    words: tuple[str, ...]
    resumes: bool = True

    @property
    def out(self) -> Path:
        return self.place / "out"

    def begin(self, *, again: bool = False) -> subprocess.Popen[str]:
        words = [word.replace("OUT", str(self.out)) for word in self.words]
        return subprocess.Popen(
            [sys.executable, "-m", "selftaught", *words, *(["--resume"] if again and self.resumes else [])],
            env=os.environ | {"SELFTAUGHT_CACHE": str(self.place / "cache"), "OMP_NUM_THREADS": "1"},
            start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, *, again: bool = False) -> float:
        """Seconds from the first trace of the command to its end."""
        process = self.begin(again=again)
        seen = self.seen(process)
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
        return time.monotonic() - seen

    def seen(self, process: subprocess.Popen[str]) -> float:
        """When the command began to write: its folder, or a store that is being packed."""
        before = self.files()
        while process.poll() is None and self.files() == before:
            time.sleep(0.005)
        return time.monotonic()

    def kill(self, wait: float) -> bool:
        """Kill the whole group so long after its first trace; whether it still ran."""
        process = self.begin()
        self.seen(process)
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        return False

    def files(self) -> list[str]:
        """All that lies below the place."""
        return sorted(p.relative_to(self.place).as_posix() for p in self.place.rglob("*"))


def photos(folder: Path, count: int, side: int) -> Path:
    """Images of two classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        of = folder / "ab"[i % 2]
        of.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 128, (side, side, 3), np.uint8) + np.uint8(100 * (i % 2))
        Image.fromarray(pixels).save(of / f"p{i:03d}.png")
    return folder


def same_run(one: Path, other: Path) -> None:
    """Rows and weights are equal to the bit."""
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    whole, meta = load_checkpoint(one / "checkpoints" / "last.safetensors")
    cut, again = load_checkpoint(other / "checkpoints" / "last.safetensors")
    assert meta["step"] == again["step"]
    assert whole.keys() == cut.keys()
    assert all(whole[name].equal(cut[name]) for name in whole)


def same_evaluations(one: Path, other: Path) -> None:
    """All metrics are equal."""

    def read(out: Path) -> dict[str, Any]:
        return {file.name: figures(json.loads(file.read_text())) for file in out.glob("evaluations/*.json")}

    assert read(one)
    assert read(one) == read(other)


_OF_TIME_AND_PLACE = ("seconds", "folder", "out", "run", "images_per_second")


def figures(value: Any) -> Any:
    """Without what tells time and place."""
    if isinstance(value, dict):
        return {
            k: figures(v) for k, v in value.items() if k not in ("seconds", "folder", "out", "run", "images_per_second")
        }
    return [figures(v) for v in value] if isinstance(value, list) else value


def killed_and_whole(
    tmp_path: Path, words: tuple[str, ...], kills: int, same: Callable[[Path, Path], None], *, resumes: bool = True,
    prepare: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Run once undisturbed and, for each kill, in a fresh place: kill, finish, compare metrics and files."""

    def fresh(name: str) -> Trial:
        (tmp_path / name).mkdir()
        if prepare:
            Trial(tmp_path / name, prepare).finish()
        return Trial(tmp_path / name, words, resumes)

    whole = fresh("whole")
    length = whole.finish()
    rng = random.Random(f"{SEED} {words[2:]}")
    count = number = 0
    while count < kills:  # a run that was quicker than the first one is tried again
        number += 1
        assert number <= 3 * kills
        trial, wait = fresh(f"t{number}"), rng.uniform(0, length)
        if not trial.kill(wait):
            continue
        count += 1
        print(f"killed {wait:.2f} s of {length:.2f} s in, {len(trial.files())} files")
        trial.finish(again=True)
        same(whole.out, trial.out)
        assert trial.files() == whole.files()
        assert not [name for name in trial.files() if name.endswith((".part", ".tmp", ".lock"))]


def killed_after(step: int, words: list[str], cache: str) -> None:
    """Train in a process that is killed with this step."""
    os.environ["SELFTAUGHT_CACHE"] = cache
    torch.set_num_threads(1)

    def after_step(task: Rotation, done: int, total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Rotation.after_step = after_step  # type: ignore[assignment, method-assign]
    main(words)


def test_a_killed_run_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = photos(tmp_path / "data", 24, 40)
    words = ("pretrain", str(data), "--task", "rotation", "--steps", "8", "--out", "OUT", *RUN, *TINY)
    cut, whole = Trial(tmp_path / "cut", words), Trial(tmp_path / "whole", words)
    filled = [word.replace("OUT", str(cut.out)) for word in words]
    process = own_process(killed_after, 5, filled, str(cut.place / "cache"))
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert (cut.out / "metrics.csv").read_text().count("\n") > 5
    assert not (cut.out / "summary.json").exists()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for trial in (cut, whole):
            monkeypatch.setenv("SELFTAUGHT_CACHE", str(trial.place / "cache"))
            assert main([*(word.replace("OUT", str(trial.out)) for word in words), "--resume"]) == 0
    finally:
        torch.set_num_threads(threads)
    same_run(whole.out, cut.out)
    assert cut.files() == whole.files()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["rotation", "simclr", "clustering", "gan"])
def test_kills_of_image_tasks(tmp_path: Path, task: str) -> None:
    data = photos(tmp_path / "data", 60, 40)
    before = sorted(data.rglob("*"))
    words = ("pretrain", str(data), "--task", task, "--steps", "12", "--out", "OUT", *RUN)
    killed_and_whole(tmp_path, words, 2, same_run)
    assert sorted(data.rglob("*")) == before


@pytest.mark.slow
def test_kills_of_a_video_task(tmp_path: Path, write_video: Any) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        base = rng.integers(0, 255, (1, 48, 48, 3), np.uint8)
        frames = np.concatenate([np.roll(base, 2 * t, 2) for t in range(40)])
        write_video(tmp_path / "data" / f"v{i}.mp4", frames)
    words = ("pretrain", str(tmp_path / "data"), "--task", "frame_order_verification", "--steps", "8", "--out", "OUT")
    killed_and_whole(tmp_path, (*words, *RUN), 2, same_run)


@pytest.mark.slow
def test_kills_while_packing(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", 200, 480)
    words = ("pretrain", str(data), "--task", "rotation", "--steps", "1", "--out", "OUT", *RUN)
    killed_and_whole(tmp_path, words, 3, same_run)


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["knn", "linear"])
def test_kills_of_evaluate(tmp_path: Path, probe: str) -> None:
    data = photos(tmp_path / "data", 240, 64)
    run = ("pretrain", str(data), "--task", "rotation", "--steps", "2", "--out", "OUT", *RUN)
    words = ("evaluate", "OUT", str(data), "--probe", probe)
    killed_and_whole(tmp_path, words, 2, same_evaluations, resumes=False, prepare=run)


@pytest.mark.slow
def test_kills_of_compare(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", 60, 40)
    words = ("compare", str(data), "--tasks", "rotation,colorization", "--labelled", str(data), "--probe", "knn")

    def same(one: Path, other: Path) -> None:
        for task in ("rotation", "colorization"):
            same_run(one / task, other / task)
            same_evaluations(one / task, other / task)

    killed_and_whole(tmp_path, (*words, "--steps", "6", "--out", "OUT", *RUN), 3, same)

"""Tasks side by side: the same rows as one by one, whatever runs them; what cannot be used is said."""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from selftaught.core.config import RunConfig
from selftaught.evaluation.compare import compare_tasks
from selftaught.evaluation.side_by_side import engines
from selftaught.evaluation.side_by_side.engines import engine_of, submitted
from tests.evaluation.small_run import CONFIG, DATA

TASKS = ["rotation", "simclr"]


def test_what_cannot_run_them_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, told in (
        ("local", "--parallel local: give the number of tasks side by side, such as local:2"),
        ("local:0", "--parallel local:0: give the number"),
        ("dask", "--parallel must be local:N, ray or slurm, got 'dask'"),
    ):
        with pytest.raises(ValueError, match=told):
            engine_of(text, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"--parallel ray needs the package ray; pip install 'selftaught\[ray\]'"):
        engine_of("ray", tmp_path)
    with pytest.raises(ValueError, match=r"--parallel slurm needs the package submitit; .*\[slurm\]'"):
        engine_of("slurm", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="--parallel slurm needs the commands of SLURM, and there is no sbatch here"):
        engine_of("slurm", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(ValueError, match="--parallel slurm:gpus: 'gpus' is no NAME=VALUE; give such as slurm:timeout"):
        engine_of("slurm:gpus", tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # submitit leaves its logs open
def test_jobs_of_submitit_give_rows_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed, the extra [slurm]")

    def attempt(order: dict[str, Any]) -> dict[str, Any]:
        if order["task"] == "bad":
            return {"error": "task 'bad': it is", "is_explained": True, "trace": "line 3"}
        return {"row": {"task": order["task"]}}

    monkeypatch.setattr(engines, "attempt", attempt)
    orders: list[dict[str, Any]] = [{"task": "a"}, {"task": "b"}]
    found = dict(submitted(orders, tmp_path / "slurm", {"timeout_min": 5}, cluster="debug"))
    assert found == {0: {"task": "a"}, 1: {"task": "b"}}
    with pytest.raises(ValueError, match="task 'bad': it is"):
        dict(submitted([{"task": "bad"}], tmp_path / "slurm", {}, cluster="debug"))
    with pytest.raises(ValueError, match=r"--parallel slurm: .*sleep"):
        dict(submitted(orders, tmp_path / "slurm", {"sleep": 5}, cluster="debug"))


class Fake:
    """A process of a task; that of the first one fails at once, each other one works until it is ended."""

    result = None

    def __init__(self, task: str) -> None:
        self.task, self.ended = task, threading.Event()
        if task != "first":
            time.sleep(0.1)  # as long as it takes to start one

    def listen(self) -> None:
        if self.task != "first":
            assert self.ended.wait(120), f"{self.task} is waited for"

    def error(self) -> Exception:
        return ValueError(f"{self.task} failed")

    def end(self) -> None:
        self.ended.set()


def test_an_error_ends_also_what_is_just_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the task that failed takes the next one before the others are ended."""
    started: list[Fake] = []

    def child(order: dict[str, Any], *_: object) -> Fake:
        started.append(Fake(order["task"]))
        return started[-1]

    monkeypatch.setattr(engines, "_child", child)
    began = time.monotonic()
    with pytest.raises(ValueError, match="first failed"):
        list(engine_of("local:1", Path())([{"task": name} for name in ("first", "second", "third")]))
    assert time.monotonic() - began < 100
    assert all(one.ended.is_set() for one in started)


def config(out: Path) -> RunConfig:
    return CONFIG.replace(steps=2, out=str(out))


def rows(result: dict[str, Any]) -> str:
    """What does not depend on the time that was taken."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k not in ("images_per_second", "seconds")}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    return json.dumps(timeless(result["rows"]), sort_keys=True)


@pytest.mark.slow  # processes that import torch
@pytest.mark.parametrize("engine", ["local:2", "submitit", "ray"])
def test_side_by_side_gives_the_rows_of_one_by_one(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = engine.partition(":")[0]
    if package != "local":
        pytest.importorskip(package, reason=f"{package} is not installed")
    if engine == "submitit":
        monkeypatch.setattr(
            "selftaught.evaluation.compare.engine_of",
            lambda text, out, devices: lambda orders: submitted(orders, out / "slurm", {}, cluster="local"),
        )
    alone = compare_tasks(config(tmp_path / "runs"), TASKS, labelled=DATA, probe="knn")
    shutil.rmtree(tmp_path / "runs")
    together = compare_tasks(config(tmp_path / "runs"), TASKS, labelled=DATA, probe="knn", parallel=engine)
    assert rows(together) == rows(alone)
    again = compare_tasks(
        config(tmp_path / "runs").replace(resume=True), TASKS, labelled=DATA, probe="knn", parallel=engine
    )
    assert rows(again) == rows(alone)

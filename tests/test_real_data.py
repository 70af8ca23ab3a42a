"""The commands as a user gives them, on real data: photographs in a zip, Parquet, videos, clips with sound."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow
Find = Callable[[str], Path]


def selftaught(*words: str | Path) -> Any:
    """One command with --json: exactly one JSON value on stdout."""
    command = [sys.executable, "-m", "selftaught", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_tasks_says_what_there_is() -> None:
    names = {task["name"]: task for task in selftaught("tasks")}
    assert set(names) >= {"rotation", "simclr", "frame_order_verification", "audio_visual"}
    assert set(names["rotation"]) == {"name", "family", "kind", "needs", "paper", "year"}
    assert names["audio_visual"]["needs"] == ["audio", "video"]


def test_photographs_in_a_zip(shared_data: Find, tmp_path: Path) -> None:
    data, run = shared_data("imagenette128"), tmp_path / "run"
    settings = ("--task", "rotation", "--encoder", "resnet18", "--size", "64", "--batch-size", "16")
    summary = selftaught(
        "pretrain", data, *settings, "--epochs", "0.01", "--limit", "2000", "--seed", "0", "--out", run
    )
    assert summary["steps"] == 1
    result = selftaught("evaluate", run, data, "--probe", "linear", "--limit", "300")
    assert set(result) >= {"probe", "metric", "value", "stage", "stages", "random"}
    assert set(result["random"]) >= {"value", "stages"}
    with zipfile.ZipFile(next(data.glob("*.zip"))) as archive:
        name = next(n for n in archive.namelist() if n.startswith("val/") and n.endswith((".jpg", ".JPEG")))
        (tmp_path / "photo.jpg").write_bytes(archive.read(name))
    found = selftaught("search", run, data, "--query", tmp_path / "photo.jpg", "--top", "10")
    assert len(found) == 10
    assert found[0]["path"] == name
    selftaught("export", run, "--format", "onnx", "--out", tmp_path / "encoder.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    picture = np.zeros((2, 3, 64, 64), np.float32)
    assert session.run(None, {session.get_inputs()[0].name: picture})[0].shape == (2, 512)


def test_parquet_compared(shared_data: Find, tmp_path: Path) -> None:
    data, out = shared_data("cifar10"), tmp_path / "out"
    settings = ("--tasks", "rotation,simclr", "--encoder", "resnet18", "--stem", "standard", "--size", "32")
    small = ("--batch-size", "32", "--limit", "500", "--budget", "20s", "--probe", "knn")
    result = selftaught("compare", data, "--labelled", data, *settings, *small, "--out", out)
    assert [row["rank"] for row in result["rows"]] == [1, 2]
    assert (out / "report.html").stat().st_size > 1e6
    selftaught("embed", out / "rotation", data, "--split", "test", "--out", tmp_path / "features.parquet")
    table = pq.read_table(tmp_path / "features.parquet")
    assert table.num_rows == 10_000
    assert {"id", "path", "label", "vector"} == set(table.column_names)


@pytest.mark.parametrize("name", ["weizmann4", "asl_letters12"])
def test_videos(name: str, shared_data: Find, tmp_path: Path) -> None:
    data, run = shared_data(name), tmp_path / "run"
    settings = ("--task", "frame_order_verification", "--encoder", "resnet18", "--size", "64", "--batch-size", "4")
    summary = selftaught("pretrain", data, *settings, "--steps", "2", "--out", run)
    assert summary["chance"] == 0.5
    result = selftaught("evaluate", run, data)
    assert result["test_samples"] == {"weizmann4": 24, "asl_letters12": 143}[name]


def test_clips_with_sound(shared_data: Find, tmp_path: Path) -> None:
    data, run = shared_data("av_clips"), tmp_path / "run"
    settings = ("--task", "audio_visual", "--encoder", "resnet18", "--size", "64", "--batch-size", "8")
    selftaught("pretrain", data, *settings, "--steps", "2", "--held-out", "0.25", "--out", run)
    selftaught(
        "export", run, "--part", "audio_encoder", "--format", "safetensors", "--out", tmp_path / "ear.safetensors"
    )
    assert (tmp_path / "ear.safetensors").exists()


def test_photographs_for_a_video_task_are_refused_at_once(shared_data: Find, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "selftaught", "pretrain", shared_data("imagenette128")]
    command += ["--task", "frame_order_verification", "--out", tmp_path / "run"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("selftaught: error: videos are needed")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert done.stdout == ""

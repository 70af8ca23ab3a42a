"""Arguments of a program: ~ is the home folder, numbers of numpy are numbers, a refused call leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import selftaught
from selftaught.core.objects.registry import object_of
from selftaught.core.plain import named, plain

DATA = "synthetic:N=32,side=32"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and an empty working folder beside it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_every_verb_takes_paths_below_home_and_numbers_of_numpy(home: Path) -> None:
    run = "~/runs/a"
    numbers: Any = {"size": np.int64(32), "batch_size": np.int32(8), "steps": np.int64(2), "seed": np.uint8(3)}
    summary = selftaught.pretrain(
        DATA,
        out=run,
        task="rotation",
        encoder="timm:test_resnet",
        held_out=float(np.float32(0.25)),
        precision="32-true",
        **numbers,
    )
    assert summary["run"] == str(home / "runs" / "a")
    assert json.loads((home / "runs/a/environment.json").read_text())["asked"]["seed"] == 3
    embedded = selftaught.embed(run, DATA, out="~/vectors.npy")
    assert np.load(home / "vectors.npy").shape == (32, 96)
    assert embedded["out"] == str(home / "vectors.npy")
    assert selftaught.export(run, out="~/net.pt")["out"] == str(home / "net.pt")
    few: Any = {"fraction": np.array([1.0]), "seed": np.int64(1), "folds": np.int64(1)}
    selftaught.evaluate(run, DATA, probe="knn", **few)
    assert list((home / "runs/a/evaluations").glob("knn-*.json"))
    assert selftaught.write_report("~/runs/a")["out"] == str(home / "runs/a/report.html")
    assert selftaught.write_report(run, out="~/page.html")["out"] == str(home / "page.html")
    assert selftaught.load_encoder(run).name == "timm:test_resnet"
    with pytest.raises(ValueError, match="no two runs"):
        selftaught.agreement("~/runs")
    with pytest.raises(ValueError, match=str(home / "nothing.png")):
        selftaught.search(run, "~/photos", query="~/nothing.png")
    assert not list(Path.cwd().iterdir()), "a folder called ~ was made"


def test_plain_values() -> None:
    given = {
        "a": np.float32(0.5),
        "b": [np.int64(1), (np.bool_(True), Path("x"))],
        "c": torch.tensor([1, 2]),
        "d": None,
    }
    found = plain(given)
    assert found == {"a": 0.5, "b": [1, (True, "x")], "c": [1, 2], "d": None}
    assert type(found["a"]) is float
    assert type(found["b"][0]) is int
    assert type(found["b"][1][0]) is bool
    assert json.loads(json.dumps(found))["b"][1] == [True, "x"]


def test_data_of_python_keep_what_they_are_and_a_place_is_text(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, 32, 32, 3), dtype=np.uint8)
    name = named("data", images)
    assert name.startswith("dataset:ndarray")
    assert object_of(name) is images  # no list of numbers
    assert named("data", tmp_path) == tmp_path
    run = r"run must be a path or a name, got Linear; train it by pretrain\(data, encoder=net, out=...\), and give the"
    with pytest.raises(ValueError, match=f"^{run} folder of that run$"):
        selftaught.embed(torch.nn.Linear(2, 2), DATA, out="v.npy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^out must be a path or a name, got int$"):
        selftaught.export(tmp_path, out=3)  # type: ignore[arg-type]

"""Arguments of a program: ~ is the home folder, numbers of numpy are numbers, a refused call leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import selftaught
from selftaught.core.config import RunConfig
from selftaught.core.plain import plain

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


def test_a_home_of_nobody_stays_as_it_is() -> None:
    assert RunConfig(data="demo", out="~nobody-of-this-name/run").out == "~nobody-of-this-name/run"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("steps", 2.5, "a whole number, got 2.5"),
        ("seed", "3", "a whole number, got '3'"),
        ("seed", None, "a whole number, got None"),
        ("steps", np.array([1, 2]), r"a whole number, got \[1, 2\]"),
        ("held_out", "a", "a number, got 'a'"),
        ("budget", 600, "text, got 600"),
        ("overwrite", 1, "true or false, got 1"),
        ("batch_size", True, "a whole number, got True"),
        ("out", None, "text, got None"),
    ],
)
def test_a_value_of_another_type_is_refused_and_nothing_is_left(
    name: str, value: object, what: str, tmp_path: Path
) -> None:
    settings = {"data": DATA, "out": str(tmp_path / "run"), name: value}
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be {what}"):
        RunConfig.from_dict(settings)
    assert not list(tmp_path.iterdir())


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

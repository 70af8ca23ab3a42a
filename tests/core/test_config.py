"""The settings of a run: their types, limits and words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.config import RunConfig, run_settings


def test_settings_are_in_groups_and_keep_their_names_outside() -> None:
    made = config(size=32, lr=0.1, devices=2, resume=True, seed=3, task_settings={"angles": 2})
    assert (made.data.path, made.folder.out, made.folder.resume) == ("demo", "run", True)
    assert (made.network.size, made.optim.lr, made.machine.world, made.seed) == (32, 0.1, 2, 3)
    flat = made.to_dict()
    assert (flat["data"], flat["out"], flat["size"], flat["lr"], flat["seed"]) == ("demo", "run", 32, 0.1, 3)
    assert set(flat) == {setting.name for setting in run_settings()}
    assert made.replace(size=64, data="other") == config(**flat | {"size": 64, "data": "other"})
    assert made.network.size == 32


def test_a_home_of_nobody_stays_as_it_is() -> None:
    assert RunConfig.of(data="demo", out="~nobody-of-this-name/run").folder.out == "~nobody-of-this-name/run"


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
    settings = {"data": "demo", "out": str(tmp_path / "run"), name: value}
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be {what}"):
        RunConfig.from_dict(settings)
    assert not list(tmp_path.iterdir())


def config(**changes: Any) -> RunConfig:
    return RunConfig.of(**{"data": "demo", "out": "run"} | changes)


def test_settings_are_the_same_after_json(tmp_path: Path) -> None:
    made = config(task_settings={"angles": 2}, lr=1e-3, budget="90s")
    (tmp_path / "config.json").write_text(json.dumps(made.to_dict()))
    assert RunConfig.load(tmp_path / "config.json") == made
    with pytest.raises(ValueError, match="unknown setting 'sise'; did you mean size"):
        RunConfig.from_dict({"data": "demo", "out": "run", "sise": 32})
    (tmp_path / "config.json").write_text('{"size": 32}')
    with pytest.raises(ValueError, match=r"config.json is damaged: the settings of a run must hold data and out$"):
        RunConfig.load(tmp_path / "config.json")

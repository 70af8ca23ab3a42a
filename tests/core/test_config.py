"""The settings of a run: their types, limits and words."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.config import (
    AllSettings,
    RunConfig,
    RunSettings,
    ValueRange,
    parse_seconds,
    read_range,
    run_settings,
)


def test_the_settings_a_verb_takes_are_those_of_run_config() -> None:
    hints = {s.name: typing.get_type_hints(s.owner)[s.field.name] for s in run_settings()}
    assert typing.get_type_hints(AllSettings) == hints
    assert set(hints) - set(typing.get_type_hints(RunSettings)) == {"data", "out", "task", "kept"}


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


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 7}, r"--size must be in \[8, 8192\], got 7"),
        ({"size": 8193}, r"--size must be in \[8, 8192\], got 8193"),
        ({"weight_decay": float("nan")}, "--weight-decay must be at least 0, got nan"),
        ({"lr": 0.0}, "--lr must be above 0, got 0.0"),
        ({"warmup": 1.0}, r"--warmup must be in \[0, 1\), got 1.0"),
        ({"momentum": 1.0}, r"--momentum must be in \[0, 1\), got 1.0"),
        ({"final_weight_decay": -0.1}, "--final-weight-decay must be at least 0, got -0.1"),
        ({"epochs": 1.0, "steps": 2}, "--epochs and --steps both set the length of the run; give one of them"),
        ({"stem": "tiny"}, "--stem must be auto, standard or small, got 'tiny'"),
        (
            {"batch_size": 10, "accumulate": 2, "devices": 2},
            r"--batch-size 10 cannot be cut into 4 equal parts \(2 accumulated x 2 devices\)",
        ),
    ],
)
def test_a_setting_out_of_its_range_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        config(**changes)


def test_the_ends_of_a_range_are_allowed() -> None:
    assert config(size=8, weight_decay=0, warmup=0.0, held_out=0.0, seed=0, batch_size=2).network.size == 8
    assert config(size=8192, seed=2**63 - 1).seed == 2**63 - 1


def test_settings_are_the_same_after_json(tmp_path: Path) -> None:
    made = config(task_settings={"angles": 2}, lr=1e-3, budget="90s")
    (tmp_path / "config.json").write_text(json.dumps(made.to_dict()))
    assert RunConfig.load(tmp_path / "config.json") == made
    with pytest.raises(ValueError, match="unknown setting 'sise'; did you mean size"):
        RunConfig.from_dict({"data": "demo", "out": "run", "sise": 32})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("600", 600.0), (".5m", 30.0)]
)
def test_a_time_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-5m", "inf", "nanh", "soon", "5d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--budget must be a time such as 90s, 10m or 1.5h, got '"):
        parse_seconds(text)


def test_a_range_of_values_is_read_and_written() -> None:
    assert read_range("auto") is None
    assert read_range("0,4095") == ValueRange(0.0, 4095.0)
    assert str(ValueRange(-1.5, 4095.0)) == "-1.5,4095"
    for text in ("9,3", "3,3", "0,inf", "1", "1,2,3", "black,white"):
        with pytest.raises(
            ValueError, match=r"^--value-range must be auto or two numbers LOW,HIGH such as 0,4095, got"
        ):
            read_range(text)

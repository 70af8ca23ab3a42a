"""Ranges of settings, and what groups say of values that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.config import RunConfig
from selftaught.core.settings.groups import DataSettings, LengthSettings, MachineSettings, OptimSettings


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


def test_a_group_checks_and_makes_plain_what_it_is_given() -> None:
    made = OptimSettings(batch_size=np.int64(8), lr=np.float64(0.5))  # type: ignore[arg-type]
    assert (type(made.batch_size), type(made.lr)) == (int, float)
    assert MachineSettings(devices=2, num_nodes=3).world == 6
    assert DataSettings(path=Path("a") / "b").path == str(Path("a") / "b")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^--data must be text, got 3$"):
        DataSettings(path=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^--value-range must be auto or two numbers"):
        DataSettings(path="demo", value_range="3")
    with pytest.raises(ValueError, match=r"^--budget must be a time"):
        LengthSettings(budget="soon")

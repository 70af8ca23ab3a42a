"""The verbs of labels: arguments, and what the command line prints."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import selftaught
from selftaught.cli.main import main
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in


def test_fit_prints_what_it_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = colours_in(tmp_path / "data", 4), tmp_path / "model"
    words = ["fit", encoder_in(tmp_path), str(data), "--out", str(model), "--method", "linear"]
    assert main([*words, "--size", str(SIZE), "--stem", "standard"]) == 0
    shown = capsys.readouterr().out
    assert "measured on" in shown
    assert "5-fold cross-validation" in shown or "4-fold cross-validation" in shown
    assert json.loads((model / "model.json").read_text())["kind"] == "classes"
    assert main([*words, "--size", str(SIZE)]) == 2
    assert "already holds a model" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [selftaught.fit, selftaught.predict, selftaught.suggest])
def test_every_argument_is_explained(verb: Callable[..., object]) -> None:
    text = inspect.getdoc(verb) or ""
    assert all(f"    {name}: " in text for name in inspect.signature(verb).parameters)

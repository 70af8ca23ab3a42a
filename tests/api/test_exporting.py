"""The verb of export: what it refuses before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

import selftaught


def test_a_file_without_a_known_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not say the format; end it with one of .pt"):
        selftaught.export(tmp_path, out=tmp_path / "encoder.bin")


def test_a_card_is_of_models_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--format card is for models of fit, and .* is none"):
        selftaught.export(tmp_path, out=tmp_path / "card.md")


def test_what_is_on_the_hub_already_is_not_pushed() -> None:
    with pytest.raises(ValueError, match=r"^push writes runs and models of this machine to the hub, where hf:a"):
        selftaught.push("hf:a/b", "me/net")


def test_an_error_limits_answers_of_models_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--error is for models of fit, and .* is none; give the folder of a model$"):
        selftaught.export(tmp_path, out=tmp_path / "encoder.onnx", error=0.1)

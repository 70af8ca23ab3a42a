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

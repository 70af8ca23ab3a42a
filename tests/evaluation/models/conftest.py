"""A model of classes, fitted once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

import selftaught
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images in `data`, and a linear model in `model`."""
    folder = tmp_path_factory.mktemp("model")
    data = colours_in(folder / "data", 8, noise=150)
    how = {"method": "linear", "size": SIZE, "stem": "standard"}
    selftaught.fit(encoder_in(folder), data, out=folder / "model", **how)  # type: ignore[arg-type]
    return folder

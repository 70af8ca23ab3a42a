"""A finished run of six steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.training.train import train
from tests.training.small_run import config


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(tmp_path_factory.mktemp("run") / "run"))

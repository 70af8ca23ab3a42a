"""A small run, and an encoder with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.training.train import train
from tests.evaluation.small_run import CONFIG


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(CONFIG.replace(out=str(tmp_path_factory.mktemp("runs") / "run")))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build_encoder("resnet18", size=32, stem="standard")

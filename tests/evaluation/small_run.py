"""A small run, and how it is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import open_subject
from tests.training.small_run import SMALL

DATA = "synthetic:N=200,side=32"


CONFIG = SMALL.replace(data=DATA, steps=4, checkpoint_every=None)


def evaluate_run(run: Path, data: str, **settings: Any) -> dict[str, Any]:
    return evaluate_encoder(open_subject(run), data, **settings)

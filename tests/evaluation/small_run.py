"""A small run, and how it is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import open_subject

DATA = "synthetic:N=200,side=32"


CONFIG = RunConfig.of(
    data=DATA,
    out="",
    task="rotation",
    encoder="timm:test_resnet",
    stem="standard",
    size=32,
    batch_size=8,
    steps=4,
    log_every=1,
    precision="32-true",
)


def evaluate_run(run: Path, data: str, **settings: Any) -> dict[str, Any]:
    return evaluate_encoder(open_subject(run), data, **settings)

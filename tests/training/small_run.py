"""A run of six steps: its settings, and the rows of its files."""

from __future__ import annotations

import csv
from pathlib import Path

from selftaught.core.config import RunConfig

SMALL = RunConfig.of(
    data="synthetic:N=120,side=32",
    out="",
    task="rotation",
    encoder="timm:test_resnet",
    stem="standard",
    size=32,
    batch_size=8,
    steps=6,
    log_every=1,
    checkpoint_every=2,
    precision="32-true",
)


def config(out: Path, **changes: object) -> RunConfig:
    return SMALL.replace(out=str(out), **changes)  # type: ignore[arg-type]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))

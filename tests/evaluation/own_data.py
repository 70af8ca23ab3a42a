"""Folders of random images, and the settings of a run that learned from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.evaluation.data.base import Asked


def pictures(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def config(data: Path | str, task: str = "rotation") -> RunConfig:
    return RunConfig.of(data=str(data), out="", size=32, task=task)


def asked(data: Path, run: RunConfig | None = None, **more: Any) -> Asked:
    """Labelled data for an encoder of images, of a run that learned from other data."""
    run = run or config("elsewhere")
    reading = dataclasses.replace(run.data, path=str(data))
    settled: dict[str, Any] = {"data": reading, "size": run.network.size, "run": run, "kind": "image"}
    return Asked(**settled | {"needs": frozenset({"label"})} | more)

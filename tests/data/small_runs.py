"""A folder opened as a source, and the settings of the smallest run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source


def source_of(folder: Path, split: str, held_out: float = 0.1) -> Source:
    return open_source(str(folder), split=split, needs=frozenset({"image"}), held_out=held_out)


QUICK: dict[str, Any] = {
    "task": "rotation", "encoder": "timm:test_resnet", "size": 32, "held_out": 0.2, "batch_size": 8, "steps": 1,
    "accelerator": "cpu", "precision": "32-true",
}  # fmt: skip

"""The evaluation of a fine-tuned encoder, as the report reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selftaught.report.facts.read import read_run
from tests.report import made_evaluations as made


def evaluation(tmp_path: Path) -> Any:
    (tmp_path / "config.json").write_text("{}")
    made.add_finetune(tmp_path)
    return read_run(tmp_path).evaluations[0]

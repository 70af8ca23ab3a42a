"""The main job on the data in the package: pretrain, probe beside random weights, write the page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.core.files import check_out_folder
from selftaught.core.own_folder import LIST, is_own
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import open_subject
from selftaught.report import write_report
from selftaught.training.run_folder import read_environment
from selftaught.training.train import train

BUDGET = "160s"
"""Of pretraining; with imports, probes and page the whole takes at most 5 minutes on 2 cores."""
FEW = 0.02
"""Share of the labels in the first probe: four patches of each photograph."""


def run_demo(out: Path) -> dict[str, Any]:
    """Pretrain SimCLR on the photographs, probe with few labels and with all of them, write the report.

    Returns:
        "run" and "report" (paths), "few_labels" and "all_labels" as `evaluate` gives them, "seconds" for all of it.
    """
    begin = time.monotonic()
    _check(out)
    config = RunConfig(
        data="demo",
        out=str(out),
        task="simclr",
        encoder="resnet18",
        size=32,
        stem="standard",
        budget=BUDGET,
        evaluate_every=5.0,
        overwrite=True,
    )
    run = train(config)
    evaluations = {
        "few_labels": evaluate_encoder(open_subject(run), "demo", fractions=[FEW]),
        "all_labels": evaluate_encoder(open_subject(run), "demo"),
    }
    page = write_report(run)
    return {
        "run": str(run),
        "report": str(page),
        **evaluations,
        "seconds": round(time.monotonic() - begin, 1),
    }


def _check(out: Path) -> None:
    """Only a demo is replaced, as nobody is asked."""
    check_out_folder(out)
    if not out.exists() or not any(out.iterdir()):
        return
    environment = out / "environment.json"
    held = read_environment(out)["asked"]["data"] if is_own(out) and environment.exists() else None
    if held is None and set(out.iterdir()) != {out / LIST}:
        raise ValueError(f"--out {out} holds other files, and no demo; give a new or empty folder")
    if held not in (None, "demo"):
        raise ValueError(f"--out {out} holds a run on {held}, and no demo; give a new or empty folder")

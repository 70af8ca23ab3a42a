"""One task of a comparison in any process: trained, measured, and said as a row of the table."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.core.errors import EXPLAINED, UNEXPECTED, ProcessError, explain
from selftaught.core.files import read_object
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.training.encoder_of_run import read_config
from selftaught.training.processes.children import TracebackOf
from selftaught.training.train import train

Order = dict[str, Any]
"""In plain values: "config" of the run, "task", "data", "labelled" with its "hints", "download", and "how" to probe."""


def measured_task(order: Mapping[str, Any]) -> dict[str, Any]:
    """Train one task, unless that is done, measure its encoder, and return its row."""
    asked = RunConfig.from_dict(order["config"])
    train(asked)  # refuses a finished run of other settings or data, and leaves it as it is otherwise
    run, download = Path(asked.folder.out), bool(order["download"])
    evaluation = None
    if order["labelled"] is not None:
        subject = open_subject(run)
        reading = subject.reading(order["labelled"], download=download, **order["hints"])
        evaluation = evaluate_encoder(subject, reading, **order["how"])
    label_free = label_free_of(open_subject(run), order["data"], download=download)
    return {"encoder": asked.network.encoder} | _row(run, order["task"], evaluation, label_free)


def attempt(order: Mapping[str, Any]) -> dict[str, Any]:
    """`measured_task` where no exception can be passed on: {"row": ...}, or {"error": ...} in words."""
    try:
        return {"row": measured_task(order)}
    except Exception as error:
        config = order["config"]
        given = {"DATA": config["data"], "--out": str(Path(config["out"]).parent)}
        text, code = explain(error, given=given, is_training=True)
        trace = "".join(traceback.format_exception(error))
        return {"error": f"task {order['task']!r}: {text}", "is_explained": code == EXPLAINED, "trace": trace}


def row_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The row that an attempt gave.

    Raises:
        ValueError: what was wrong, as the process that tried it says.
        ProcessError: for errors that nobody foresaw.
    """
    if "row" in result:
        row: dict[str, Any] = result["row"]
        return row
    is_explained = bool(result["is_explained"])
    error = ValueError(result["error"]) if is_explained else ProcessError(result["error"], UNEXPECTED)
    raise error from TracebackOf(result["trace"])


def label_free_of(subject: Subject, data: str, *, download: bool) -> dict[str, Any] | None:
    """What label_free says of the encoder; None where there are too few held-out samples, which must not end it all."""
    try:
        return evaluate_encoder(subject, data, probe="label_free", download=download)
    except ValueError as error:
        print(f"label-free metrics are left out: {error}", file=sys.stderr)
        return None


def _row(run: Path, task: str, evaluation: dict[str, Any] | None, label_free: dict[str, Any] | None) -> dict[str, Any]:
    """One task; its metrics without labels are those of the label_free probe, else of the run's last look."""
    summary, config = read_object(run / "summary.json"), read_config(run)
    if label_free:
        summary |= {name: entry["value"] for name, entry in label_free["more"]["figures"].items()}
    return {
        "task": task,
        "run": run.name,
        "rank": 0,
        "metric": summary["metric"],
        "pretext_value": summary["value"],
        "pretext_chance": summary["chance"],
        "clip": config.network.clip_seen,
        "probe": evaluation,
        "label_free": label_free,
        "rankme": summary["rankme"],
        "alignment": summary["alignment"],
        "uniformity": summary["uniformity"],
        "unit": summary.get("unit", "images"),
        "images_per_second": summary["images_per_second"],
        "steps": summary["steps"],
    }

"""What one run says of itself, in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selftaught.report.facts.read import Json, Run, finite
from selftaught.report.facts.wording import LABEL_FREE, is_share, number

FEW = 50
"""Held-out samples below which chance is tested with the exact binomial distribution."""


def heldout_metric(run: Run) -> tuple[str, float | None, float | None]:
    """Name, value and chance of the held-out pretext metric; a run that goes on gives its latest value."""
    summary = run.summary
    if summary:
        return str(summary.get("metric", "")), finite(summary.get("value")), finite(summary.get("chance"))
    known = {"step", "epoch", "loss", *LABEL_FREE}
    name = next((column for column in run.heldout if column not in known), "")
    return name, finite(run.heldout[name][-1]) if name else None, None


def is_learned(run: Run) -> bool | None:
    """Whether the held-out pretext metric is above chance by more than luck; None where chance is not known."""
    metric, value, chance = heldout_metric(run)
    if value is None or chance is None:
        return None
    samples = finite(run.summary.get("heldout_samples"))
    if not samples or not is_share(metric) or not 0 <= chance <= 1:
        return value > chance
    if samples < FEW:
        return _luck(int(value * samples + 1e-6), int(samples), chance) <= 0.025
    return value > chance + 1.96 * math.sqrt(chance * (1 - chance) / samples)


def too_few_to_tell(run: Run) -> int | None:
    """The held-out samples of a run whose metric is above chance, but on so few that luck would do; else None."""
    metric, value, chance = heldout_metric(run)
    samples = finite(run.summary.get("heldout_samples"))
    if value is None or chance is None or not samples or samples >= FEW or is_learned(run) or not is_share(metric):
        return None
    return int(samples) if value > chance or chance == 1 else None


def _luck(hits: int, samples: int, chance: float) -> float:
    """The probability of so many hits or more of `samples` independent ones."""
    terms = (math.comb(samples, k) * chance**k * (1 - chance) ** (samples - k) for k in range(hits, samples + 1))
    return sum(terms)


def is_short(run: Run) -> bool:
    """Whether it has fewer steps or passes than runs need to learn anything (docs/results/evidence.md)."""
    steps, epochs = finite(run.summary.get("steps")), finite(run.summary.get("epochs"))
    return bool(steps and epochs and (steps < 400 or (epochs < 2 and steps < 800)))


def run_name(folder: Path) -> str:
    """A run is called by its folder."""
    return folder.resolve().name


def anchor(run: Run) -> str:
    """Where the run's part of a page begins."""
    return "run-" + (re.sub(r"[^A-Za-z0-9_-]+", "-", run_name(run.folder)) or "x")


def run_line(run: Run) -> str:
    """Task, encoder, data and cost in one line."""
    s = run.summary
    seconds = finite(s.get("seconds"))
    return line([
        ("", run.task), ("", run.encoder), ("", with_unit(run.config.get("size"), " px")),
        ("", with_unit(_count(s.get("train_samples")), " samples")),
        ("", with_unit(_count(s.get("epochs")), " epochs")),
        ("", with_unit(_count(s.get("steps")), " steps")), ("", _duration(seconds) if seconds else None),
        ("", with_unit(_count(s.get("images_per_second")), f" {unit_of(run)}/s")), ("seed", run.config.get("seed")),
    ])  # fmt: skip


def unit_of(run: Run) -> str:
    """What its speed counts: clips, images or samples; runs of earlier versions do not say, but record their clips."""
    return str(run.summary.get("unit") or ("clips" if run.config.get("clip_seen") else "images"))


def unit_of_all(rows: Sequence[Json]) -> str:
    """What the speeds of a comparison count; samples where its tasks differ."""
    units = {str(row.get("unit") or "images") for row in rows}
    return units.pop() if len(units) == 1 else "samples"


def line(pairs: Sequence[tuple[str, Any]]) -> str:
    """The known ones of (name, value), with dots between."""
    return " · ".join(f"{name} {value}".strip() for name, value in pairs if value is not None)


def with_unit(value: object, unit: str) -> str | None:
    """The value with its unit, None where there is none."""
    return None if value is None else f"{value}{unit}"


def _count(value: object) -> str | None:
    known = finite(value)
    return None if known is None or known == 0 else number(round(known, 1) if known < 100 else round(known))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )

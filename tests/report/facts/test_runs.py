"""What one run says of itself, in words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from selftaught.report.facts.read import Run, read_run
from selftaught.report.facts.runs import (
    anchor,
    heldout_metric,
    is_learned,
    is_short,
    line,
    run_line,
    run_name,
    too_few_to_tell,
    unit_of_all,
    with_unit,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "config.json").write_text(
        json.dumps({"task": "rotation", "encoder": "resnet18", "size": 64, "seed": 0})
    )
    return read_run(tmp_path)


def ended(run: Run, **summary: Any) -> Run:
    return dataclasses.replace(run, summary={"metric": "accuracy", "value": 0.5, "chance": 0.25} | summary)


def test_a_run_that_goes_on_gives_its_latest_value(run: Run) -> None:
    assert heldout_metric(run) == ("", None, None)
    columns = {"step": (1.0, 2.0), "epoch": (0.1, 0.2), "loss": (1.0, 0.9), "psnr": (3.0, 4.0), "rankme": (5.0, 6.0)}
    assert heldout_metric(dataclasses.replace(run, heldout=columns)) == ("psnr", 4.0, None)
    assert heldout_metric(ended(run)) == ("accuracy", 0.5, 0.25)


@pytest.mark.parametrize("samples", [4, 10, 49])
def test_few_samples_are_tested_by_the_binomial_distribution(run: Run, samples: int) -> None:
    for hits in range(samples + 1):
        luck = binom.sf(hits - 1, samples, 0.25)
        found = ended(run, value=hits / samples, heldout_samples=samples)
        assert is_learned(found) is bool(luck <= 0.025), hits
        few = samples if hits / samples > 0.25 and luck > 0.025 else None
        assert too_few_to_tell(found) == few


def test_many_samples_are_tested_by_the_normal_one(run: Run) -> None:
    border = 0.25 + 1.96 * (0.25 * 0.75 / 1000) ** 0.5
    assert is_learned(ended(run, value=border + 0.001, heldout_samples=1000)) is True
    assert is_learned(ended(run, value=border - 0.001, heldout_samples=1000)) is False
    assert is_learned(ended(run, metric="psnr_gain", value=0.1, chance=0.0, heldout_samples=1000)) is True
    assert is_learned(ended(run, chance=None)) is None
    assert too_few_to_tell(ended(run, value=0.26, heldout_samples=1000)) is None


@pytest.mark.parametrize(
    ("steps", "epochs", "short"), [(399, 50, True), (400, 2, False), (799, 1.9, True), (800, 0.5, False), (0, 0, False)]
)
def test_short_runs_by_steps_and_passes(run: Run, steps: int, epochs: float, short: bool) -> None:
    assert is_short(ended(run, steps=steps, epochs=epochs)) is short


def test_a_run_in_one_line(run: Run) -> None:
    whole = ended(run, train_samples=9469, epochs=5.04, steps=2000, seconds=752.3, images_per_second=339.7)
    assert run_line(whole) == (
        "rotation · resnet18 · 64 px · 9,469 samples · 5 epochs · 2,000 steps · 12 min 32 s · 340 images/s · seed 0"
    )
    assert run_line(run) == "rotation · resnet18 · 64 px · seed 0"
    of_clips = ended(run, **whole.summary, unit="clips")
    assert " · 340 clips/s · " in run_line(of_clips)
    older = dataclasses.replace(whole, config={**whole.config, "clip_seen": {"frames": 16, "stride": 1}})
    assert " · 340 clips/s · " in run_line(older), "a run of an earlier version says how clips are cut"
    assert "1 h 02 min" in run_line(ended(run, seconds=3725.0))
    assert line([("a", 1), ("b", None), ("", "c")]) == "a 1 · c"
    assert (with_unit(None, " px"), with_unit(3, " px")) == (None, "3 px")


def test_speeds_of_tasks_with_other_samples_have_a_common_word() -> None:
    assert unit_of_all([{}, {"unit": "images"}]) == "images"
    assert unit_of_all([{"unit": "clips"}, {"unit": "clips"}]) == "clips"
    assert unit_of_all([{"unit": "clips"}, {"unit": "images"}]) == "samples"


def test_an_anchor_is_derived_from_the_folders_name(run: Run, tmp_path: Path) -> None:
    for name, found in (("seed 0", "run-seed-0"), ("<b>", "run--b-"), ("é", "run--")):
        named = dataclasses.replace(run, folder=tmp_path / name)
        assert (run_name(named.folder), anchor(named)) == (name, found)

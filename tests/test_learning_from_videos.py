"""The guide "Learning from videos": its commands run on real videos, and its table holds what they print."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.cli.main import main
from selftaught.evaluation.models.folder import read_facts
from tests.guides import GUIDES, commands

pytestmark = pytest.mark.slow  # a pretraining, two probes and a fine-tuning of ResNet-18: minutes of one core

GUIDE = GUIDES / "learning_from_videos.md"
NEAR = 17.0
"""Percent, four of 24 videos: rounding differs between machines, and 40 steps of a network amplify it."""


def table() -> list[tuple[float, float]]:
    """The two columns of numbers of the guide's table."""
    rows = re.findall(r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(float(own), float(random)) for own, random in rows]


def clips_in(folder: Path, videos: Path) -> dict[str, dict[str, str]]:
    """All videos in one folder without classes; the line of labels.csv of each by its name."""
    folder.mkdir()
    with (videos / "labels.csv").open(newline="") as file:
        rows = {row["file"].replace("/", "-"): row for row in csv.DictReader(file)}
    for name, row in rows.items():
        shutil.copy(videos / row["file"], folder / name)
    return rows


def names_in(table: Path) -> list[str]:
    with table.open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def test_the_commands_give_the_numbers_of_the_guide(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shared_data("weizmann4"), tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    rows = clips_in(tmp_path / "clips", tmp_path / "videos")
    for words in commands(GUIDE):
        if words[0] == "compare":  # its budget is hours
            continue
        if words[0] == "fit":  # somebody looks at what was suggested
            known = names_in(tmp_path / "next" / "next.csv")
            lines = [f"{name},{row['label'] if name in known else ''},{row['performer']}" for name, row in rows.items()]
            (tmp_path / "clips" / "labels.csv").write_text("\n".join(["file,label,performer", *lines]) + "\n")
        assert main(words) == 0
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "rotation" / "evaluations").glob("*.json")]
    assert len(found) == 3
    kinds = {(one["probe"], one["settings"].get("train")): one for one in found}
    measured = [kinds[kind] for kind in (("action", "linear"), ("clip_retrieval", None), ("action", "encoder"))]
    for (own, random), one in zip(table(), measured, strict=True):
        assert one["test_samples"] == 24
        assert one["more"]["resampled"].endswith("groups")
        assert one["value"] == pytest.approx(own, abs=NEAR)
        assert one["random"]["value"] == pytest.approx(random, abs=NEAR)
    page = (tmp_path / "runs" / "rotation" / "report.html").read_text(encoding="utf-8")
    assert "data-clip" in page
    assert len(page.encode()) < 15e6
    facts = read_facts(tmp_path / "models" / "actions")
    assert facts.held_back["is"] == "5-fold cross-validation of 24 labels"
    assert (facts.held_back["accuracy"], facts.random["accuracy"]) == pytest.approx((66.7, 66.7), abs=2 * NEAR)
    with (tmp_path / "actions.csv").open(newline="") as file:
        others = [row for row in csv.DictReader(file) if row["path"] not in known]
    assert len(others) == 48
    right = 100 * sum(row["most_probable"] == rows[row["path"]]["label"] for row in others) / 48
    assert right == pytest.approx(52.1, abs=NEAR)

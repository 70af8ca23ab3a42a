"""All tables of a page as text."""

from __future__ import annotations

import csv
from pathlib import Path

from selftaught.report import write_report
from tests.report import made_evaluations as made
from tests.report.read_page import Folder


def test_markdown_holds_the_answer_and_every_table(tmp_path: Path, run_folder: Folder) -> None:
    target = write_report(made.add_all(run_folder(tmp_path / "run")), format="markdown")
    assert target == tmp_path / "run" / "report.md"
    lines = target.read_text().splitlines()
    better = "11.3 points (10.3 to 12.3) better than random weights in the linear probe"
    assert lines[0] == f"# The features rotation learned are {better}."
    headings = [line for line in lines if line.startswith("#")]
    assert headings[1:] == [
        "## What the features are worth", "## How many labels it saves", "## Retrieval", "## Segmentation",
        "## Detection", "## Label-free metrics", "## Skipped files",
    ]  # fmt: skip
    assert any(line.startswith("| Linear probe ") and "63.1 % (61.6 to 64.6)" in line for line in lines)
    assert "data:image" not in target.read_text()


def test_csv_is_a_file_for_each_table(tmp_path: Path, run_folder: Folder) -> None:
    target = write_report(made.add_all(run_folder(tmp_path / "run")), format="csv")
    assert target == tmp_path / "run" / "report-csv"
    names = sorted(path.name for path in target.iterdir())
    assert {"all-protocols.csv", "retrieval-figures.csv", "detection-ap-by-class.csv"} <= set(names)
    with (target / "all-protocols.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["Protocol"] == "Linear probe"
    assert (float(rows[0]["Value"]), float(rows[0]["Value low"]), float(rows[0]["Value high"])) == (63.1, 61.6, 64.6)


def test_latex_has_labels_of_its_own(tmp_path: Path, run_folder: Folder) -> None:
    run_folder(tmp_path / "runs" / "seed 0")
    run_folder(tmp_path / "runs" / "seed 1", best=70.0)
    text = write_report(tmp_path / "runs", tmp_path / "tables.tex", format="latex").read_text()
    labels = [line for line in text.splitlines() if line.startswith(r"\label")]
    assert len(labels) == len(set(labels)) > 4
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(labels)
    assert r"\label{tab:seed-1-all-protocols}" in labels
    assert "script\\textgreater{}.zip" in text


def test_a_comparison_has_its_ranking_in_every_format(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path / "compared", {"rotation": 61.2, "simclr": 66.4})
    text = write_report(folder, tmp_path, format="markdown").read_text()
    assert "**Tasks, best first**" in text
    assert (write_report(folder, tmp_path / "tables", format="csv") / "tasks-best-first.csv").is_file()

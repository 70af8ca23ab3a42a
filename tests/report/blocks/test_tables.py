"""The tables of a page."""

from __future__ import annotations

import json
from pathlib import Path

from selftaught.report import write_report
from tests.report.read_page import Folder, Page


def test_a_comparison_marks_runs_that_do_not_differ_from_the_first(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 66.0, "simclr": 66.4, "counting": 60.0})
    page = Page(write_report(folder))
    markdown, csv_text, latex = page.copies[:3]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()]
    assert cells[0][:5] == ["Rank", "Task", "Linear probe, top-1", "Gain", "Behind the first"]
    assert [row[4] for row in cells[2:5]] == ["–", "≈ 0.4 (−0.6 to 1.4)", "6.4 (5.4 to 7.4)"]
    assert csv_text.splitlines()[2].startswith("2,rotation,66,64.5,67.5,14.2,13.2,15.2,0.4,-0.6,1.4,layer3,0.6,0.25,")
    assert r"$\approx$ 0.4 {\scriptsize ($-$0.6 to 1.4)}" in latex
    old = comparison_folder(tmp_path / "old", {"rotation": 66.0, "simclr": 66.4, "counting": 60.0}, intervals=False)
    behind = [line.split("|")[5].strip() for line in Page(write_report(old)).copies[0].splitlines()[2:5]]
    assert [text[:5] for text in behind] == ["–", "≈ 0.4", "6.4 ("], "from the intervals of the two where none is given"


def test_a_comparison_of_several_encoders_names_them(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 66.0, "simclr": 66.4})
    assert "Encoder" not in Page(write_report(folder)).copies[0].splitlines()[0]
    table = json.loads((folder / "compare.json").read_text())
    for row, encoder in zip(table["rows"], ("resnet18", "r3d_18"), strict=True):
        row["probe"]["encoder"] = row["encoder"] = encoder
    (folder / "compare.json").write_text(json.dumps(table))
    head, _, *rows = Page(write_report(folder)).copies[0].splitlines()
    assert head.split("|")[-2].strip() == "Encoder"
    assert {row.split("|")[-2].strip() for row in rows[:2]} == {"resnet18", "r3d_18"}

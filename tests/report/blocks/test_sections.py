"""The parts of a page that speak of the run itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.report import write_report
from selftaught.report.blocks.sections import _agree
from selftaught.report.facts.read import Sample
from tests.report.read_page import Folder, Page, changed


def test_the_command_is_one_that_can_be_typed(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "environment.json", command=["__main__.py", "pretrain", "photos"])
    assert "selftaught pretrain photos" in Page(write_report(run)).text


@pytest.mark.parametrize(
    ("label", "prediction", "is_right"),
    [
        ("1", "1", True),
        ("1", "10", False),
        ("10", "1", False),
        ("cat", "cat dog", False),
        ("cat", "cat, 0.9", False),
        ("cat dog", "cat dog", True),
        ("", "", False),
        ("cat", Path("cat.png"), False),
    ],
)
def test_a_prediction_is_right_where_it_is_the_label(label: str, prediction: str | Path, is_right: bool) -> None:
    assert _agree(Sample(inputs=(), pseudo_label=label, prediction=prediction)) is is_right


def test_skipped_and_left_out_files_are_counted_together(tmp_path: Path, run_folder: Folder) -> None:
    assert "2 files were skipped or left out" in Page(write_report(run_folder(tmp_path / "run"))).text

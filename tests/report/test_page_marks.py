"""What a page marks, plots and says of little data."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.report import write_report
from selftaught.report.blocks.agreement import agreement_blocks
from selftaught.report.blocks.figures import Figure, Line, metric_curves
from selftaught.report.blocks.sections import _agree
from selftaught.report.facts.read import Sample, read_run
from tests.report import made_evaluations as made
from tests.report.test_page import Folder, Page, changed


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


def test_a_single_look_has_its_chance_line_and_a_single_row_a_point(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (run / "heldout.csv").write_text("step,epoch,loss,accuracy\n8,1,1.2,0.5\n")
    (run / "metrics.csv").write_text("step,epoch,lr,loss,accuracy\n8,1,0.05,1.2,0.5\n")
    chance = metric_curves({"run": read_run(run)})[0].lines[1]
    assert (chance.name, list(chance.x), list(chance.y)) == ("chance", [0.0, 8.0], [25.0, 25.0])
    rate = Page(write_report(run)).figures[-1]
    plots = {f["layout"]["yaxis"]["rangemode"] for f in [rate]}
    assert rate["data"][0]["mode"] == "lines+markers"
    assert plots == {"tozero"}, "not from -0.95 to 1.05"


def test_a_line_of_several_points_stays_a_line() -> None:
    figure = Figure(title="t", lines=[Line(name="a", x=[1, 2], y=[1.0, 2.0])])
    assert '"mode":"lines"' in figure.to_json()
    assert '"rangemode":"normal"' in figure.to_json()


def test_runs_that_are_too_few_for_a_verdict_have_no_plots() -> None:
    few = made.agreement()
    assert len(agreement_blocks(few)) == 1
    enough = {**few, "rows": [{**row, "runs": 6} for row in few["rows"]]}
    assert len(agreement_blocks(enough)) == 2


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ({"value": 20.0, "interval": [0.0, 60.0]}, "comes first, but cannot be told apart from random weights: +20.0"),
        ({"value": 20.0, "interval": [1.0, 60.0]}, "gains most over random weights: +20.0"),
        ({"value": -5.0, "interval": [-9.0, -1.0]}, "comes nearest to random weights, which none beats: −5.0"),
    ],
)
def test_the_headline_of_a_folder_says_no_more_than_the_runs(
    tmp_path: Path, run_folder: Folder, gain: dict[str, object], words: str
) -> None:
    run = run_folder(tmp_path / "runs" / "a")
    changed(run / "evaluations" / "linear-0a1b2c.json", gain=gain)
    assert words in Page(write_report(tmp_path / "runs")).headings[0]


def test_captions_wrap_and_white_pictures_have_a_border() -> None:
    style = (Path(write_report.__code__.co_filename).parent / "style.css").read_text()
    assert "overflow-wrap: anywhere" in next(line for line in style.splitlines() if line.startswith(".row figcaption"))
    assert "img, .sheet, .tiles i { outline: 1px solid" in style

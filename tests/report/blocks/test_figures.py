"""The plots as plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.report import write_report
from selftaught.report.blocks.figures import Figure, Line, metric_curves, run_curves
from selftaught.report.facts.read import read_run
from tests.report.read_page import Folder, Page, changed


def test_the_stage_plot_has_the_task_random_weights_and_the_supervised_encoder(
    tmp_path: Path, run_folder: Folder
) -> None:
    figure = Page(write_report(run_folder(tmp_path / "run"))).figures[0]
    assert [entry["name"] for entry in figure["legend"]] == ["random weights", "rotation", "supervised"]
    random, task, _ = figure["data"]
    assert task["x"] == ["conv1", "layer1", "layer2", "layer3", "layer4"] == figure["layout"]["xaxis"]["categoryarray"]
    assert task["y"] == [41.1, 59.1, 61.6, 63.1, 60.1]
    assert random["line"]["dash"] == "dash"
    assert task["error_y"]["array"] == task["error_y"]["arrayminus"] == pytest.approx([1.5] * 5)


def test_values_that_are_no_numbers_do_not_break_a_plot(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (run / "metrics.csv").write_text("step,epoch,lr,loss\n1,0,0.1,nan\n2,0,0.1,inf\n3,0,0.1,1.5\n")
    (run / "heldout.csv").write_text("step,epoch,loss,rankme\n3,1,nan,nan\n")
    changed(run / "evaluations" / "linear-0a1b2c.json", value=None, stages={"conv1": None, "layer1": 3.0})
    losses = Page(write_report(run)).figures[1]["data"]
    assert [(trace["x"], trace["y"]) for trace in losses] == [([3.0], [1.5])]


def test_a_long_curve_is_thinned_to_means(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    rows = "".join(f"{i},0,0.1,{i % 2}\n" for i in range(60_000))
    (run / "metrics.csv").write_text("step,epoch,lr,loss\n" + rows)
    loss = Page(write_report(run)).figures[1]["data"][0]
    assert len(loss["y"]) == 600
    assert set(loss["y"]) == {0.5}


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


def test_predicted_frames_are_one_plot_over_the_horizon_beside_copies(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    names = "psnr_gain,psnr_1,psnr_2,copy_psnr_1,copy_psnr_2,part_1"
    (run / "heldout.csv").write_text(f"step,epoch,loss,{names}\n4,1,1.5,0,9,8,7,6,3\n8,1,1.2,1,24,21,23,18,3\n")
    figures = run_curves(read_run(run))
    (plot,) = [figure for figure in figures if "horizon" in figure.title]
    assert (plot.title, plot.y_title, plot.x_title) == ("PSNR over the horizon", "dB", "predicted frame")
    assert [(line.name, list(line.x), list(line.y)) for line in plot.lines] == [
        ("predicted", [1, 2], [24.0, 21.0]), ("last frame copied", [1, 2], [23.0, 18.0])
    ]  # fmt: skip
    titles = [figure.title for figure in figures]
    assert "Part 1" in titles
    assert not [title for title in titles if "PSNR 1" in title or "PSNR 2" in title]

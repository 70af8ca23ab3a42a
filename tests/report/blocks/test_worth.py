"""What the features are worth: the table of all protocols, plots by stage, and labels saved."""

from __future__ import annotations

from pathlib import Path

from selftaught.report.blocks.figures import Figure
from selftaught.report.blocks.worth import labels_blocks, stage_title, worth_blocks
from selftaught.report.facts.cells import Table
from selftaught.report.facts.read import read_run
from tests.report import made_evaluations as made
from tests.report.read_page import Folder


def test_protocols_of_several_stages_have_a_plot_and_a_table(tmp_path: Path, run_folder: Folder) -> None:
    run = read_run(made.add_all(run_folder(tmp_path / "run")))
    whole, first, others, *tables = worth_blocks(run)
    assert isinstance(whole, Table)
    assert [row[0].text for row in whole.rows][:2] == ["Linear probe", "k-NN probe"]
    assert "Label-free metrics" not in [row[0].text for row in whole.rows]
    assert isinstance(first, list)
    assert [figure.wide for figure in first if isinstance(figure, Figure)] == [True]
    assert others == []
    assert [table.title for table in tables if isinstance(table, Table)] == [first[0].title]


def test_a_run_that_was_not_probed_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "rotation"}')
    made.add_label_free(tmp_path)
    (told,) = worth_blocks(read_run(tmp_path))
    assert isinstance(told, str)
    assert f"selftaught evaluate {tmp_path} LABELLED" in told


def test_a_title_names_what_differs_between_plots() -> None:
    evaluation = {"probe": "linear", "metric": "top1", "train_samples": 9469, "labelled": "data/photos.zip"}
    assert stage_title(evaluation) == "Linear probe, top-1 by stage, 9,469 labels of photos.zip"
    assert stage_title({"probe": "linear", "metric": "top1"}) == "Linear probe, top-1 by stage"


def test_labels_saved_are_shown_in_words_a_plot_and_a_table(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "rotation"}')
    made.add_finetune(tmp_path)
    said, figures, table = labels_blocks(read_run(tmp_path).evaluations)
    assert isinstance(said, str)
    assert "Fine-tuning with 95 labels is as good as training from scratch with 603" in said
    assert isinstance(figures, list)
    assert len(figures) == 1
    assert isinstance(table, Table)
    assert len(table.rows) == 4
    assert labels_blocks(()) == []

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from selftaught.report.blocks.agreement import agreement_blocks, agreement_figures, agreement_table
from selftaught.report.blocks.figures import Figure
from selftaught.report.facts.cells import Table
from selftaught.report.page import document_of
from tests.report import made_evaluations as made

Folder = Callable[..., Path]


def test_the_table_says_how_each_metric_ranks_the_runs() -> None:
    table = agreement_table(made.agreement())
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["RankMe", "higher", "4", "+0.80", "0.660", "+0.67", "Cannot tell"],
        ["LiDAR", "higher", "4", "−0.40", "0.750", "−0.33", "Cannot tell"],
    ]
    assert table.title == "Agreement with the linear probe"
    assert table.note == "4 runs are too few to tell"
    assert table.rows[0][-1].tone == "unsure"


def test_the_plots_have_a_point_for_each_run() -> None:
    figures = agreement_figures(made.agreement())
    assert [figure.title for figure in figures] == ["RankMe, better is higher", "LiDAR, better is higher"]
    assert figures[1].lines[0].x == [9.0, 8.0, 7.0, 6.0]
    assert figures[1].lines[0].names == ["run0", "run1", "run2", "run3"]


def test_without_agreement_there_is_nothing() -> None:
    assert agreement_blocks(None) == agreement_blocks({}) == agreement_blocks({"rows": []}) == []


def test_a_comparison_and_a_folder_of_runs_show_it(
    tmp_path: Path, run_folder: Folder, comparison_folder: Folder
) -> None:
    folder = comparison_folder(tmp_path / "compared", {"rotation": 60.0, "simclr": 66.0})
    table = json.loads((folder / "compare.json").read_text())
    (folder / "compare.json").write_text(json.dumps({**table, "label_free_agreement": made.agreement()}))
    run_folder(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "label_free_agreement.json").write_text(json.dumps(made.agreement()))
    for path in (folder, tmp_path / "runs"):
        sections = {section.anchor: section for section in document_of(path).sections}
        assert len(sections["agreement"].blocks) == 1, f"{path}: no plots of four runs"


def test_the_last_stage_is_shown_where_an_earlier_one_was_best() -> None:
    last = made.agreement()
    for row in last["rows"]:
        row["runs"] = 6
    last["points"] = [{**point, "probe": 10.0} for point in last["points"]]
    blocks = agreement_blocks({**last, "last_stage": {key: last[key] for key in ("rows", "points", "note")}})
    assert isinstance(blocks[2], Table)
    assert blocks[2].title == "Agreement with the linear probe, last stage, which the metrics are of"
    assert isinstance(blocks[3], list)
    figure = blocks[3][0]
    assert isinstance(figure, Figure)
    assert figure.lines[0].y == [10.0] * 4


def test_runs_that_are_too_few_for_a_verdict_have_no_plots() -> None:
    few = made.agreement()
    assert len(agreement_blocks(few)) == 1
    enough = {**few, "rows": [{**row, "runs": 6} for row in few["rows"]]}
    assert len(agreement_blocks(enough)) == 2

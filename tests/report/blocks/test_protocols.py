from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.report.blocks.protocols import more_details, more_tables
from selftaught.report.facts.cells import Table
from tests.report import made_evaluations as made
from tests.report.blocks.drawn_sections import drawn, only


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_retrieval_has_recalls_with_intervals_beside_random_weights(tmp_path: Path) -> None:
    (table,) = more_tables(only(tmp_path, made.add_retrieval).evaluations[0])
    assert list(table.head) == ["Figure", "Value", "Random weights", "Difference"]
    assert texts(table)[:2] == [["Recall@1", "44.0 %", "30.0 %", "+14.0"], ["Recall@5", "53.0 %", "39.0 %", "+14.0"]]
    assert table.rows[1][1].interval == (51.0, 55.0)
    assert texts(table)[-1] == ["mAP", "22.0 %", "15.0 %", "+7.0"]


def test_detection_has_metrics_of_both_rules_classes_and_images(tmp_path: Path) -> None:
    run = only(tmp_path, made.add_detection)
    figures, classes = more_tables(run.evaluations[0])
    assert texts(figures)[2] == ["COCO AP at IoU 0.5 to 0.95", "15.5 %", "11.0 %", "+4.5"]
    assert texts(classes) == [
        ["dog", "36.0 %", "27.0 %", "+9.0"],
        ["cat", "26.0 %", "17.0 %", "+9.0"],
        ["cow", "–", "–", "–"],
    ]
    assert classes.title == "Detection: AP by class"
    assert classes.rows[0][1].bar == pytest.approx(0.36)
    assert drawn(run, "detection").count("<img") == 6
    assert more_details(run.evaluations[0]) == {"Rule": "voc", "Boxes": {"dog": 9, "cat": 7}, "Loss": 0.31}


def test_segmentation_names_the_colours_of_its_masks(tmp_path: Path) -> None:
    run = only(tmp_path, made.add_segmentation)
    figures, classes = more_tables(run.evaluations[0])
    assert texts(figures)[0][:2] == ["Pixel accuracy", "65.0 %"]
    assert texts(classes)[0] == ["road", "55.0 %", "50.0 %", "+5.0"]
    html = drawn(run, "segmentation")
    assert html.count('class="drawings wide"') == 2, "of the encoder and of random weights"
    assert html.count('class="drawing"') == 6
    assert '<i style="background:#800000"></i>road' in html
    assert "url(x)" not in html.split("how it was run")[0], "only a colour is taken for a colour"


def test_label_free_metrics_keep_their_units_and_cautions(tmp_path: Path) -> None:
    run = only(tmp_path, made.add_label_free)
    (table,) = more_tables(run.evaluations[0])
    assert texts(table)[0] == ["RankMe", "40.0", "16.0", "+24.0"]
    assert table.rows[0][1].within == "38.0 to 42.0"
    assert table.rows[1][-1].tone == "unsure"
    assert table.rows[0][-1].tone == "", "no colour says that more is better"
    assert "900 held-out samples for 512 features" in drawn(run, "label_free")


def test_unknown_names_in_more_are_shown_or_left_out() -> None:
    more = {
        "costs": {"layer1": [0.1, 1.0]},
        "epochs": {"layer1": 12},
        "lr": 0.01,
        "big": {str(i): i for i in range(99)},
    }
    evaluation = {"probe": "mlp", "metric": "top1", "stages": {"layer1": 50.0, "layer2": 40.0}, "more": more}
    assert more_tables(evaluation) == []
    assert more_details(evaluation) == {"Epochs": {"layer1": 12}, "Lr": 0.01}
    assert more_tables({"probe": "mine", "metric": "top1", "more": None}) == []


def test_a_known_metric_by_stage_is_a_table_of_stages() -> None:
    stages = {"layer1": 50.0, "layer2": 40.0}
    more = {"map_11_point": stages, "map_11_point_intervals": {"layer1": [48.0, 52.0]}}
    evaluation = {"probe": "svm", "metric": "map", "stage": "layer1", "stages": stages, "more": more}
    named, by_stage = more_tables(evaluation)
    assert texts(named) == [["mAP, 11 points as in VOC 2007", "50.0 %", "–"]]
    assert texts(by_stage) == [["this encoder", "50.0 %", "40.0 %"]]
    assert by_stage.rows[0][1].interval == (48.0, 52.0)
    assert by_stage.rows[0][1].tone == "best"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selftaught.evaluation.metrics.labels_saved import labels_saved
from selftaught.report.facts.savings import first_saving, labels_table, saving_words, savings
from tests.report import made_evaluations as made
from tests.report.finetuned import evaluation


def test_the_saving_at_the_fewest_labels_is_reported(tmp_path: Path) -> None:
    saving = first_saving([{"probe": "linear"}, evaluation(tmp_path)])
    assert saving is not None
    assert saving_words(saving) == (
        "fine-tuning with 95 labels is as good as training from scratch with 603 (540 to 671 over the draws): "
        "6.3 times as many."
    )
    assert (saving.short, saving.note, saving.tone) == ("6.3 ×", "95 labels in place of 603", "good")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"labels": 50, "scratch_labels": None, "bound": "more than", "bound_labels": 1000},
            "fine-tuning with 50 labels is as good as training from scratch with more than 1,000: "
            "more than 20 times as many.",
        ),
        (
            {"labels": 50, "scratch_labels": None, "bound": "fewer than", "bound_labels": 50},
            "fine-tuning with 50 labels is no better than training from scratch with fewer than 50: "
            "no labels are saved.",
        ),
        (
            {"labels": 50, "scratch_labels": 40, "bound": None},
            "fine-tuning with 50 labels is no better than training from scratch with 40: no labels are saved.",
        ),
    ],
)
def test_bounds_are_shown_as_bounds(row: dict[str, Any], words: str) -> None:
    saving = first_saving([{"probe": "finetune", "labels_saved": [row]}])
    assert saving is not None
    assert saving_words(saving) == words


def test_what_evaluate_derives_is_read() -> None:
    rows = made.few_labels()
    found = savings({"probe": "finetune", "few_labels": rows, "labels_saved": labels_saved(rows)})
    assert [saving.labels for saving in found] == [95, 473, 947, 9469]
    assert [saving.is_bound for saving in found] == ["", "", "", "more than"]
    assert all(95 < saving.scratch <= 9469 for saving in found)
    assert found[0].ends is not None


def test_the_table_has_a_row_for_each_number_of_labels(tmp_path: Path) -> None:
    table = labels_table(evaluation(tmp_path))
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["95", "1 %", "3", "41.0 % ± 1.0", "24.0 % ± 1.0", "603", "6.3 ×"],
        ["473", "5 %", "3", "55.0 % ± 1.0", "38.5 % ± 1.0", "1,779", "3.8 ×"],
        ["947", "10 %", "3", "61.0 % ± 1.0", "47.0 % ± 1.0", "–", "–"],
        ["9,469", "100 %", "1", "78.0 %", "76.0 %", "more than 9,469", "> 1 ×"],
    ]
    assert labels_table({"probe": "linear"}) is None

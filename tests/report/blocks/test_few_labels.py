"""Accuracy over the number of labels, as a plot."""

from __future__ import annotations

from pathlib import Path

from selftaught.report.blocks.few_labels import few_labels_figure
from tests.report import made_evaluations as made
from tests.report.finetuned import evaluation


def test_the_plot_has_both_curves_on_a_logarithmic_axis_with_their_spread(tmp_path: Path) -> None:
    figure = few_labels_figure(evaluation(tmp_path))
    assert [line.name for line in figure.lines] == ["pretrained", "from scratch"]
    assert list(figure.lines[0].x) == [95, 473, 947, 9469]
    assert figure.lines[0].bars[0] == (40.0, 42.0)
    assert figure.lines[0].bars[3] is None, "all labels are drawn once"
    assert '"type":"log"' in figure.to_json()
    linear = few_labels_figure({"probe": "linear", "metric": "top1", "few_labels": made.few_labels()})
    assert [line.name for line in linear.lines] == ["pretrained", "random weights"]

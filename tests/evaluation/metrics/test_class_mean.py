"""Means over classes of a resampling: what it lacks keeps its metric, in every probe that has one metric a class."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.evaluation.metrics.average_precision import Rankings
from selftaught.evaluation.metrics.class_mean import class_mean, resampled_class_means
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.metrics.iou import class_iou, count_pixels


def test_classes_without_a_metric_are_no_part_of_the_mean() -> None:
    nan = float("nan")
    assert class_mean(np.array([0.2, nan, 0.6])) == pytest.approx(0.4)
    assert np.isnan(class_mean(np.array([nan, nan])))


def test_a_class_that_a_draw_lacks_keeps_its_metric() -> None:
    nan = float("nan")
    whole = np.array([0.2, 0.1, nan])
    assert class_mean(np.array([0.4, nan, nan]), whole) == pytest.approx((0.4 + 0.1) / 2)
    assert class_mean(np.array([nan, nan, nan]), whole) == pytest.approx(class_mean(whole))


def test_draws_are_passed_on_and_the_whole_is_computed_once() -> None:
    asked: list[NDArray[np.int64] | None] = []

    def figure(rows: NDArray[np.int64] | None) -> NDArray[np.float64]:
        asked.append(rows)
        return np.array([1.0 if rows is None else rows.mean()])

    found = resampled_class_means(figure, 12)
    drawn = [rows for rows in asked if rows is not None]
    assert len(drawn) == len(found) == len(asked) - 1
    assert found.tolist() == pytest.approx([rows.mean() for rows in drawn])


def test_intervals_are_around_metrics_whose_rare_class_is_never_found() -> None:
    """One of 20 samples is of the second class; a third of the draws lack it."""
    truth = np.zeros((20, 2, 2), np.int64)
    truth[0, 1, 1] = 1
    counts = np.stack([count_pixels(np.zeros((2, 2), np.int64), mask, 2) for mask in truth])
    targets = np.zeros((20, 2), np.int8)
    targets[1:, 0] = targets[0, 1] = 1
    ranking = Rankings(targets * np.array([1.0, -1.0]), targets)

    def iou(rows: NDArray[np.int64] | None) -> NDArray[np.float64]:
        return class_iou(counts, rows)

    for figure in (iou, ranking.area, ranking.interpolated_area, ranking.eleven_points):
        resampled = resampled_class_means(figure, 20)
        low, high = interval_of(resampled)
        assert low <= class_mean(figure(None)) <= high < 0.6

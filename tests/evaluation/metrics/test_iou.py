"""Intersection over union: hand-made cases, plain loops, torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from selftaught.evaluation.metrics.class_mean import resampled_class_means
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.metrics.iou import class_iou, count_pixels, mean_accuracy, mean_iou, pixel_accuracy


def drawn(seed: int, classes: int, pictures: int = 4) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (pictures, 9, 11))
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = 255
    return predicted, truth


def counted(predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    return np.stack([count_pixels(p, t, classes) for p, t in zip(predicted, truth, strict=True)])


def test_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])
    predicted = np.array([[0, 0, 0, 1], [0, 1, 1, 1]])
    counts = counted(predicted[None], truth[None], 3)
    assert counts[0].tolist() == [[3, 2, 0], [4, 3, 0], [4, 3, 0]]
    # class 0: 3 of 4 + 4 - 3; class 1: 2 of 3 + 3 - 2; class 2 is neither there nor predicted
    assert class_iou(counts)[:2].tolist() == [3 / 5, 2 / 4]
    assert np.isnan(class_iou(counts)[2])
    assert mean_iou(counts) == pytest.approx(55.0)
    assert pixel_accuracy(counts) == pytest.approx(100 * 5 / 7)
    assert mean_accuracy(counts) == pytest.approx(100 * (3 / 4 + 2 / 3) / 2)


def test_perfect_and_all_wrong() -> None:
    truth = np.array([[[0, 1], [2, 255]]])
    assert mean_iou(counted(truth, truth, 3)) == 100
    assert mean_iou(counted((truth + 1) % 3, truth, 3)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_plain_loops(seed: int) -> None:
    predicted, truth = drawn(seed, 5)
    for number, found in enumerate(class_iou(counted(predicted, truth, 5))):
        both = either = 0
        for p, t in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True):
            if t != 255:
                both += p == t == number
                either += number in (p, t)
        assert found == pytest.approx(both / either)


@pytest.mark.parametrize("classes", [2, 7])
def test_torchmetrics_agrees(classes: int) -> None:
    metrics = pytest.importorskip("torchmetrics.classification")
    predicted, truth = drawn(classes, classes)
    judge = metrics.MulticlassJaccardIndex(num_classes=classes, average=None, ignore_index=255)
    expected = judge(torch.from_numpy(predicted), torch.from_numpy(truth))
    counts = counted(predicted, truth, classes)
    assert np.allclose(class_iou(counts), expected.numpy())
    accuracy = metrics.MulticlassAccuracy(num_classes=classes, average="macro", ignore_index=255)
    assert mean_accuracy(counts) == pytest.approx(
        100 * float(accuracy(torch.from_numpy(predicted), torch.from_numpy(truth))), rel=1e-5
    )


def test_resampled_images_count_as_often_as_they_are_drawn() -> None:
    predicted, truth = drawn(0, 3)
    counts = counted(predicted, truth, 3)
    rows = np.array([0, 2, 2, 3])
    assert class_iou(counts, rows).tolist() == pytest.approx(class_iou(counts[rows]).tolist())
    low, high = interval_of(100 * resampled_class_means(lambda chosen: class_iou(counts, chosen), len(counts)))
    assert low < mean_iou(counts) < high

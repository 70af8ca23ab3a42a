from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from selftaught.core.settings.groups import DataSettings, NetworkSettings
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.data.open_labelled import open_labelled
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.probes.svm import Svm
from selftaught.features.all_stages import read_stages
from selftaught.features.reader import Reader
from selftaught.training.encoder_of_run import random_encoder
from tests.evaluation.drawn_classes import drawn_data, drawn_reader
from tests.evaluation.unit_rows import unit

CPU = torch.device("cpu")


def test_the_probe_equals_scikit_learn_from_end_to_end() -> None:
    data, reader = drawn_data(train=120), drawn_reader()
    score = Svm(Svm.Config(costs=(0.3,), stage="far")).score(reader, data)
    train, test = (read_stages(reader, half, stage="far", dims=9000)["far"] for half in (data.train, data.test))
    scores, precision = [], []
    for k in range(4):
        peer = LinearSVC(C=0.3, class_weight={1: 2, 0: 1}, tol=1e-8, max_iter=100_000)
        assert data.train_targets is not None
        assert data.test_targets is not None
        scores.append(peer.fit(unit(train), data.train_targets[:, k]).decision_function(unit(test)))
        precision.append(average_precision_score(data.test_targets[:, k], scores[-1]))
    top1 = 100 * (np.array(scores).argmax(0) == data.test.labels).mean()
    assert score.more["top1"]["far"] == pytest.approx(top1, abs=0.26)
    # The interpolated area is never below scikit-learn's, and close to it.
    assert 0 <= score.value - 100 * np.mean(precision) < 3
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert score.resampled is not None
    assert score.interval == interval_of(score.resampled)
    assert score.more["map_11_point"]["far"] == pytest.approx(score.value, abs=5)
    assert set(score.more["average_precision"]) == set(data.classes)


def test_costs_are_chosen_without_the_test_samples() -> None:
    reader = drawn_reader()
    probe = Svm(Svm.Config(costs=(0.001, 0.1, 10.0)))
    plain, shuffled = (probe.score(reader, drawn_data(train=120, shuffled=s)) for s in (False, True))
    assert plain.more["costs"] == shuffled.more["costs"]
    assert set(plain.more["costs"]) == {"near", "far"}
    assert plain.value > shuffled.value + 20


def test_samples_of_several_classes_with_some_left_out() -> None:
    """Pairs of a sample and a class that are left out concern that class alone."""
    data, reader = drawn_data(train=120), drawn_reader()
    assert data.train_targets is not None
    assert data.test_targets is not None
    both = [
        targets | (np.arange(len(targets)) % 5 == 0)[:, None] for targets in (data.train_targets, data.test_targets)
    ]
    hidden = [targets.copy() for targets in both]
    for targets in hidden:
        targets[::7, 2] = -1
    for half in (data.train, data.test):
        half.labels = None
    probe = Svm(Svm.Config(costs=(0.1,), stage="far"))

    def score(train: np.ndarray, test: np.ndarray, given: Labelled = data) -> dict[str, float]:
        found = probe.score(reader, dataclasses.replace(given, train_targets=train, test_targets=test))
        assert "top1" not in found.more
        by_class: dict[str, float] = found.more["average_precision"]
        return by_class

    plain, left_out = score(*both), score(*hidden)
    assert plain["left"] != left_out["left"]
    assert [plain[n] for n in data.classes if n != "left"] == pytest.approx(
        [left_out[n] for n in data.classes if n != "left"], abs=0.05
    )


def test_the_interval_is_around_the_metric_where_a_class_is_rare_and_hard() -> None:
    """One test sample of the fourth class, which looks like the first: a third of the draws lack it."""
    data = drawn_data(train=120, test=200, noise=10.0)
    rare = np.zeros((200, 4), np.int8)
    rare[np.arange(200), np.arange(200) % 4 % 3] = 1
    rare[0] = (0, 0, 0, 1)
    data = dataclasses.replace(data, test_targets=rare)
    score = Svm(Svm.Config(costs=(0.1,), stage="far")).score(drawn_reader(), data)
    assert score.more["average_precision"]["top"] < 10
    assert score.resampled is not None
    assert score.value == pytest.approx(score.resampled.mean(), abs=3)
    low, high = score.more["map_11_point_intervals"]["far"]
    assert low < score.more["map_11_point"]["far"] < high


@pytest.mark.slow
def test_photographs_of_several_classes(shared_data: Callable[[str], Path]) -> None:
    """The VOC tree beside the checkout: 20 classes, one of which nothing shows."""
    data_folder = str(shared_data("voc_layout"))
    encoder = random_encoder(NetworkSettings(encoder="resnet18", size=64, stem="standard"), 0)
    asked = Asked(data=DataSettings(path=data_folder), size=64, kind=encoder.kind, needs=frozenset({"labels"}))
    data = open_labelled(asked)
    probe = Svm(Svm.Config(dims=1000, stage="all"))
    reader = Reader(encoder=encoder, size=64, device=CPU, precision="32-true")
    score = probe.score(reader, data)
    chance = probe.chance(data)
    assert chance is not None
    assert list(score.stages) == list(encoder.stages)
    assert score.interval is not None
    assert score.interval[1] > score.value > chance
    by_class = score.more["average_precision"]
    assert len(by_class) == 20
    assert by_class["cow"] is None
    assert max(by_class, key=lambda name: by_class[name] or 0) == "person"
    assert "top1" not in score.more


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"--probe.costs must be one or more numbers above 0"):
        Svm.Config(costs=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"--probe.folds must be at least 2, got 1"):
        Svm.Config(folds=1)
    with pytest.raises(ValueError, match=r"--probe.stage: unknown stage 'fra'; did you mean far"):
        Svm(Svm.Config(stage="fra")).score(drawn_reader(), drawn_data(train=20, test=20))

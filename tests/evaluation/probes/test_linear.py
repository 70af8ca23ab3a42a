from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.ridge import RidgeProbe
from selftaught.evaluation.probes.base import Probe
from selftaught.evaluation.probes.knn import KNearest
from selftaught.evaluation.probes.linear import Linear
from selftaught.features.all_stages import read_stages
from tests.evaluation.drawn_classes import OtherKinds, drawn_data, drawn_reader


def test_closed_form_equals_scikit_learns_ridge() -> None:
    """One more features than samples, one fewer: the classifier, and the accuracy that the probe reports."""
    data, reader = drawn_data(), drawn_reader()
    score = Linear(Linear.Config()).score(reader, data)
    train, test = (read_stages(reader, half, stage="all", dims=9000) for half in (data.train, data.test))
    assert data.train.labels is not None
    held = torch.from_numpy(held_back(len(data.train), 0))
    assert {values.shape[1] > len(values) for values in train.values()} == {True, False}
    for name, values in train.items():
        probe = RidgeProbe(4)
        probe.add(torch.from_numpy(values).float(), torch.from_numpy(data.train.labels), held)
        ours, strength = probe.solve()
        peer = make_pipeline(StandardScaler(), Ridge(alpha=strength * len(values)))
        peer.fit(values.astype(np.float64), data.train_targets)
        expected = peer.predict(test[name].astype(np.float64))
        found = (torch.from_numpy(test[name]).float() - ours.mean) / ours.std @ ours.weight + ours.bias
        assert np.allclose(found.numpy(), expected, atol=1e-3)
        accuracy = 100 * (expected.argmax(1) == data.test.labels).mean()
        assert score.stages[name] == pytest.approx(accuracy, abs=0.26)  # one sample of 400 may lie on the border


@pytest.mark.parametrize("probe", [Linear(Linear.Config()), KNearest(KNearest.Config(stage="all"))])
def test_tokens_and_sequences_are_probed_as_the_maps_they_hold(probe: Probe) -> None:
    data = drawn_data(train=60, test=60)
    maps = probe.score(drawn_reader(), data)
    others = probe.score(dataclasses.replace(drawn_reader(), encoder=OtherKinds().eval()), data)
    assert others.stages == maps.stages


@pytest.mark.parametrize("schedule", ["rotnet", "deepcluster", "fair"])
def test_sgd_comes_near_the_closed_form(schedule: Literal["rotnet", "deepcluster", "fair"]) -> None:
    data, reader = drawn_data(), drawn_reader()
    config = Linear.Config(solver="sgd", schedule=schedule, epoch_scale=5)
    score = Linear(config).score(reader, data)
    assert list(score.stages) == ["near", "far"]
    assert score.stages == Linear(config).score(reader, data).stages
    assert score.value > Linear(Linear.Config()).score(reader, data).value - 10
    assert not score.more


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--probe.schedule and --probe.epoch-scale are for --probe.solver sgd"):
        Linear.Config(schedule="fair")
    with pytest.raises(ValueError, match=r"--probe.epoch-scale must be above 0, got 0"):
        Linear.Config(solver="sgd", epoch_scale=0)

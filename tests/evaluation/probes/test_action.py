"""Action recognition: which videos are right, averaged over their clips, with intervals over videos or groups."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.encoders.modality import encoder_view
from selftaught.evaluation.fit.classifier import Classifier, predict
from selftaught.evaluation.metrics.intervals import interval_of, resample_groups
from selftaught.evaluation.probes import action
from selftaught.evaluation.probes.action import Action
from selftaught.evaluation.probes.knn import KNearest
from selftaught.evaluation.probes.linear import Linear
from selftaught.evaluation.score_parts import score_parts
from selftaught.features.encode import sample_batches
from tests.evaluation.drawn_classes import TwoStages
from tests.evaluation.moving_squares import MovingSquares, clip_reader, moving_data


def probe(**settings: Any) -> Action:
    return Action(Action.Config(**settings), seed=3)


def test_frozen_features_are_classified_as_by_the_probes_of_images() -> None:
    """Averaged features give what averaged scores of a linear classifier do, stage by stage."""
    data, reader = moving_data(), clip_reader(clips=3)
    found = probe(clips=3, dims=50).score(reader, data)
    assert found.stages == Linear(Linear.Config(dims=50), seed=3).score(reader, data).stages
    nearest = probe(clips=3, train="knn", stage="pooled", k=5).score(reader, data)
    assert nearest.stages == KNearest(KNearest.Config(k=5)).score(reader, data).stages
    assert nearest.more["averaged"] == "features"


def test_top_1_and_top_5_equal_loops() -> None:
    scores = torch.randn(40, 7, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 7
    for k in (1, 5, 99):
        expected = []
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
            better = sum(value > row[label] for value in row)
            expected.append(100.0 if better < k else 0.0)
        assert action._right(scores, labels, k).tolist() == expected


def test_six_classes_have_a_top_5_above_the_top_1() -> None:
    found = probe(clips=2).score(clip_reader(), moving_data())
    assert found.more["top5"].keys() == found.stages.keys()
    assert all(found.more["top5"][stage] >= found.stages[stage] for stage in found.stages)


def test_the_softmax_of_clips_is_averaged_after_fine_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Classifier, torch.Tensor]] = []

    def spy(network: Classifier, *args: Any, **more: Any) -> torch.Tensor:
        seen.append((network, predict(network, *args, **more)))
        return seen[-1][1]

    monkeypatch.setattr(action, "predict", spy)
    data, reader = moving_data(24, 12), clip_reader()
    found = probe(train="encoder", steps=3, batch_size=4, lr=(0.05,), clips=3).score(reader, data)
    ((network, probabilities),) = seen
    network.eval()
    expected = torch.zeros(12, 6)
    for views in sample_batches(data.test, batch_size=12, device=torch.device("cpu"), clips=3):
        for batch in views:
            with torch.no_grad():
                expected += network(encoder_view(network.encoder, batch.inputs, 16)).softmax(1) / 3
    assert torch.allclose(probabilities, expected, atol=1e-6)
    assert found.value == pytest.approx(100 * float((expected.argmax(1).numpy() == data.test.labels).mean()), abs=0.001)
    assert found.more["averaged"] == "probabilities"
    assert (found.more["steps"], found.more["from_scratch"]) == (3, False)
    assert probe(train="encoder").trains_encoder


@pytest.mark.parametrize("train", ["linear", "knn", "encoder"])
def test_encoders_of_images_are_measured_by_the_mean_of_frames(train: str) -> None:
    settings = {"steps": 2, "batch_size": 4, "lr": (0.01,)} if train == "encoder" else {}
    found = probe(train=train, clips=2, **settings).score(clip_reader(TwoStages().eval()), moving_data(24, 12))
    assert 0 <= found.value <= 100


def test_intervals_are_over_groups_where_the_data_name_them() -> None:
    data = moving_data(with_groups=True)
    reader = clip_reader()
    alone = probe(clips=2, stage="far").score(reader, moving_data())
    found = probe(clips=2, stage="far").score(reader, data)
    assert (alone.more["resampled"], found.more["resampled"]) == ("videos", "10 groups")
    assert found.value == alone.value
    assert alone.outcomes is not None
    assert isinstance(data.test, MovingSquares)
    assert data.test.groups is not None
    resampled = resample_groups(alone.outcomes, data.test.groups)
    assert found.interval == interval_of(resampled)
    assert found.resampled is not None
    assert np.array_equal(found.resampled, resampled)
    assert found.outcomes is None, "the gain has its interval over groups too"


def test_folds_of_groups_are_joined_before_they_are_drawn() -> None:
    first, second = moving_data(with_groups=True), moving_data(42, 18, with_groups=True)
    assert isinstance(second.test, MovingSquares)
    second.test.groups = np.arange(18) // 3 + 100
    folded = dataclasses.replace(first, folds=(first, second))
    asked, reader = probe(clips=1, stage="far"), clip_reader()
    found = score_parts(lambda part: asked.score(reader, part), folded)  # type: ignore[arg-type]
    outcomes = np.concatenate([asked.score(reader, part).stage_outcomes["far"] for part in (first, second)])
    assert isinstance(first.test, MovingSquares)
    groups = np.concatenate([np.arange(30) // 3, np.arange(18) // 3 + 100])
    assert found.interval == interval_of(resample_groups(outcomes, groups))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 3}, "--probe.k has no effect with --probe.train linear; leave it out or give --probe.train knn"),
        (
            {"train": "encoder", "dims": 10},
            "--probe.dims has no effect with --probe.train encoder; leave it out or give --probe.train linear or knn",
        ),
        ({"from_stage": "far"}, "--probe.from-stage has no effect with --probe.train linear"),
        ({"clips": 0}, "--probe.clips must be at least 1, got 0"),
        ({"train": "head"}, "--probe.train must be"),
    ],
)
def test_a_setting_without_effect_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Action.Config(**settings)

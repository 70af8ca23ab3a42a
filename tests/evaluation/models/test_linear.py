"""A linear layer on a stage, chosen without the samples that are held back."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.models.known import Known
from selftaught.evaluation.models.linear import DIMS, LinearFit
from selftaught.evaluation.models.network import logits_of, model_of_stage
from tests.evaluation.drawn_classes import CLASSES, DrawnSamples, drawn_reader


def known_of(count: int, *, shuffled: bool = False, folds: int = 5, weights: tuple[float, ...] | None = None) -> Known:
    samples = DrawnSamples("train", count)
    if shuffled:
        assert samples.labels is not None
        samples.labels = numpy_generator("shuffled").permutation(samples.labels)
    held = tuple(np.arange(count) // 4 % folds == k for k in range(folds))
    return Known(samples=samples, classes=CLASSES, held=held, weights=weights)


def test_out_of_fold_logits_are_those_of_layers_that_saw_no_held_back_sample() -> None:
    fit = LinearFit(drawn_reader(), known_of(80), seed=0, strengths=(0.1,))
    before = fit.out_of_fold()
    assert fit.known.samples.labels is not None
    held = fit.known.held[0]
    fit.known.samples.labels[held] = 0  # of no matter to the layer that predicts them
    assert np.allclose(fit.out_of_fold()[held], before[held], atol=1e-3)
    assert not np.allclose(fit.out_of_fold()[fit.known.held[1]], before[fit.known.held[1]], atol=1e-2)


def test_classes_are_learned_and_noise_is_not_claimed_to_be() -> None:
    right = {}
    for shuffled in (False, True):
        known = known_of(160, shuffled=shuffled)
        logits = LinearFit(drawn_reader(), known, seed=0, strengths=(1.0, 0.01)).out_of_fold()
        right[shuffled] = float((logits.argmax(1) == known.labels).mean())
    assert right[False] > 0.7
    assert right[True] == pytest.approx(0.25, abs=0.1)


def test_only_what_is_held_back_is_predicted_and_new_samples_are() -> None:
    known = known_of(120, folds=5)
    fit = LinearFit(
        drawn_reader(), Known(samples=known.samples, classes=CLASSES, held=known.held[:1]), seed=0, strengths=(0.1,)
    )
    assert np.array_equal(np.isfinite(fit.out_of_fold()[:, 0]), known.held[0])
    test = DrawnSamples("test", 100)
    found = fit.fit()
    assert found.stage == "all"
    assert float((fit.logits(found, test).argmax(1) == test.labels).mean()) > 0.65


def test_few_labels_average_the_layers_of_all_stages_and_many_choose_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, test = LinearFit(drawn_reader(), known_of(80), seed=0, strengths=(0.1,)), DrawnSamples("test", 30)
    whole = fit.fit()
    logits = fit.logits(whole, test)
    monkeypatch.setattr("selftaught.evaluation.models.linear.FEW", 80)
    assert fit.fit().stage in ("near", "far")
    apart = []
    for stage in ("near", "far"):
        monkeypatch.setattr(fit, "_best_stage", lambda _rows, stage=stage: (stage, 0.0))
        apart.append(fit.logits(fit.fit(), test))
    assert np.allclose(logits, np.mean(apart, axis=0), atol=1e-4)
    model = model_of_stage(fit.reader.encoder, whole.classifier, stage="all", dims=DIMS, size=fit.reader.size)
    assert np.allclose(logits_of(model, test, fit.reader.device).numpy(), logits, atol=0.05)  # those read are float16


def test_a_class_that_weighs_more_is_predicted_more_often() -> None:
    share = []
    for weights in (None, (0.5, 0.5, 2.5, 0.5)):
        known = known_of(80, shuffled=True, weights=weights)
        logits = LinearFit(drawn_reader(), known, seed=0, strengths=(1.0,)).out_of_fold()
        share.append(float((logits.argmax(1) == 2).mean()))
    assert share[1] > share[0] + 0.2

"""One hidden layer on features: what it tells apart, and when its training stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator, numpy_generator
from selftaught.evaluation.fit.hidden_layer import HiddenLayer, Training, fit_hidden_layer
from selftaught.evaluation.fit.ridge import RidgeProbe

TRAINING = Training(hidden=32, lr=5e-3, weight_decay=0.01, batch_size=64, epochs=60, patience=20)


def either(count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 where exactly one of two numbers is positive: no line separates them. Far from standardised."""
    values = numpy_generator("either", name).normal(size=(count, 2))
    return (values * 30 + 500).astype(np.float16), (np.sign(values).prod(1) < 0).astype(np.int64)


def fit(values: np.ndarray, labels: np.ndarray, held: np.ndarray, training: Training = TRAINING) -> HiddenLayer:
    return fit_hidden_layer(values, labels, held, 2, training, rng=generator("fit"), device=torch.device("cpu"))


def accuracy(network: HiddenLayer, values: np.ndarray, labels: np.ndarray) -> float:
    return float((network.predict(torch.from_numpy(values).float()).numpy() == labels).mean())


def test_it_learns_what_no_linear_classifier_can() -> None:
    values, labels = either(400, "train")
    test, expected = either(400, "test")
    held = np.arange(400) % 5 == 0
    network = fit(values, labels, held)
    assert accuracy(network, test, expected) > 0.9
    linear = RidgeProbe(2)
    linear.add(torch.from_numpy(values).float(), torch.from_numpy(labels), torch.from_numpy(held))
    assert float((linear.solve()[0].predict(torch.from_numpy(test).float()).numpy() == expected).mean()) < 0.65
    again = fit(values, labels, held)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_held_back_samples_only_stop_the_training() -> None:
    """Their labels are turned round: training ends at once, and they are never learned."""
    values, labels = either(400, "train")
    held = np.arange(400) % 5 == 0
    turned = np.where(held, 1 - labels, labels)
    stopped = fit(values, turned, held, Training(**(vars(TRAINING) | {"patience": 2})))
    assert stopped.best_epoch < fit(values, labels, held).best_epoch
    mean = torch.from_numpy(values[~held]).double().mean(0)
    assert torch.allclose(stopped.mean.double(), mean, rtol=1e-5)


def test_the_weights_are_those_of_the_best_epoch() -> None:
    values, labels = either(200, "train")
    held = np.arange(200) % 5 == 0
    long = fit(values, labels, held)
    short = fit(values, labels, held, Training(**(vars(TRAINING) | {"epochs": long.best_epoch})))
    assert all(torch.equal(a, b) for a, b in zip(long.parameters(), short.parameters(), strict=True))


def test_without_held_back_samples_all_epochs_are_trained() -> None:
    values, labels = either(10, "train")
    network = fit(values, labels, np.zeros(10, bool), Training(**(vars(TRAINING) | {"epochs": 3})))
    assert network.best_epoch == 3


def test_it_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    fit(*either(40, "train"), np.arange(40) % 5 == 0, Training(**(vars(TRAINING) | {"epochs": 1})))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_handful_of_samples_is_trained_on_no_longer_than_it_takes_to_fit_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[int] = []
    step = torch.optim.AdamW.step

    def counted(self: torch.optim.AdamW, *args: Any) -> Any:
        steps.append(1)
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    labels = np.arange(27) % 3
    values = np.random.default_rng(0).normal(labels[:, None], 1.0, (27, 500)).astype(np.float16)
    training = Training(hidden=64, lr=1e-3, weight_decay=0.01, batch_size=256, epochs=100, patience=10)
    network = fit_hidden_layer(
        values, labels, np.arange(27) % 5 == 0, 3, training, rng=generator("few"), device=torch.device("cpu")
    )
    assert len(steps) <= 60
    assert (network.predict(torch.from_numpy(values).float()).numpy() == labels).mean() > 0.9

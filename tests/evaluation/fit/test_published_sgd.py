"""Linear classifiers by stochastic gradient descent, with the published schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator, numpy_generator
from selftaught.evaluation.fit.published_sgd import SCHEDULES, fit_by_sgd


def test_schedules_are_the_published_ones() -> None:
    rotnet, deepcluster, fair = (SCHEDULES[name] for name in ("rotnet", "deepcluster", "fair"))
    assert [rotnet.lr_at(epoch, 100) for epoch in (0, 4.99, 5, 15, 25, 34.9)] == pytest.approx(
        [0.01, 0.01, 0.002, 0.0004, 0.00008, 0.00008]
    )
    assert [fair.lr_at(epoch, 100) for epoch in (7, 8, 16, 24)] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert deepcluster.lr_at(3, 100) == pytest.approx(0.01 / math.sqrt(1 + 0.01 * 1e-4 * 300))
    assert [s.epochs for s in (rotnet, deepcluster, fair)] == [35, 90, 28]
    assert fair.epochs * 1_281_167 / fair.batch_size == pytest.approx(140_000, rel=0.01)


def test_stages_are_trained_apart_though_together() -> None:
    """What the one stage holds changes nothing in the other's classifier."""
    rng = numpy_generator("sgd")
    labels = rng.integers(0, 3, 50)
    first, second = (rng.normal(size=(50, 6)).astype(np.float16) for _ in range(2))

    def fit(other: np.ndarray) -> torch.Tensor:
        features = {"one": first, "other": other}
        found = fit_by_sgd(
            features,
            labels,
            3,
            SCHEDULES["rotnet"],
            epoch_scale=0.2,
            rng=generator("fit"),
            device=torch.device("cpu"),
        )
        return found["one"].weight

    assert torch.equal(fit(second), fit(second * 7))


def test_the_batch_normalisation_knows_the_training_set() -> None:
    """With one batch an epoch its running metrics are those of all samples, so a scaled stage is told as well."""
    rng = numpy_generator("scaled")
    labels = np.arange(60) % 2
    values = (rng.normal(size=(60, 4)) + 3 * labels[:, None]) * 1000 + 5000
    found = fit_by_sgd(
        {"one": values.astype(np.float16)},
        labels,
        2,
        SCHEDULES["rotnet"],
        epoch_scale=1,
        rng=generator("fit"),
        device=torch.device("cpu"),
    )["one"]
    norm = found.norm
    assert isinstance(norm, torch.nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, torch.from_numpy(values).float().mean(0), rtol=1e-2)
    assert not norm.affine
    assert (found.predict(torch.from_numpy(values).float()).numpy() == labels).mean() > 0.9


def test_what_diverges_is_said() -> None:
    values = np.full((20, 30), 60_000, np.float16)
    values[::2] *= -1
    found = fit_by_sgd(
        {"huge": values},
        np.arange(20) % 3,
        3,
        SCHEDULES["deepcluster"],
        epoch_scale=1,
        rng=generator("fit"),
        device=torch.device("cpu"),
    )
    assert not found["huge"].diverged
    with torch.no_grad():
        found["huge"].weight.fill_(float("nan"))
    assert found["huge"].diverged

"""Softmax regression against scikit-learn's, its weights, and classes without samples."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from selftaught.evaluation.fit.softmax_regression import fit_softmax, softmax_path


def rows(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    x = rng.normal(0, 2, (count, 5)) + np.eye(3, 5)[labels]
    return torch.from_numpy(x).float(), torch.from_numpy(labels)


def test_probabilities_are_those_of_scikit_learn() -> None:
    x, y = rows()
    z = ((x - x.mean(0)) / x.std(0, unbiased=False)).numpy()
    weights = np.where(y == 0, 3.0, 1.0)
    # Its objective is the sum of losses, with 1 / C in place of the strength times their total weight.
    reference = LogisticRegression(C=1 / (0.05 * weights.sum()), tol=1e-8, max_iter=1000).fit(z, y, weights)
    found = fit_softmax(x, y, 3, 0.05, torch.from_numpy(weights).float())
    assert np.allclose(found.scores(x).softmax(1), reference.predict_proba(z), atol=2e-3)


def test_a_path_ends_where_its_last_strength_would() -> None:
    x, y = rows()
    *_, last = softmax_path(x, y, 3, (1.0, 0.1))
    assert torch.allclose(last.scores(x).softmax(1), fit_softmax(x, y, 3, 0.1).scores(x).softmax(1), atol=2e-3)


def test_a_class_without_samples_is_never_predicted_and_constant_features_do_nothing() -> None:
    x, y = rows()
    found = fit_softmax(torch.cat([x, torch.ones(60, 1)], 1), y, 4, 0.1)
    assert found.scores(torch.cat([x, torch.zeros(60, 1)], 1)).softmax(1)[:, 3].max() < 0.01
    assert found.weight[5].abs().max() == 0

"""Linear machines with squared hinge loss, against LIBLINEAR's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.fit import squared_hinge
from selftaught.evaluation.fit.squared_hinge import UnitRows, fit_svms
from tests.evaluation.unit_rows import unit

CPU = torch.device("cpu")


def rows(count: int = 80, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = numpy_generator("svm rows")
    labels = rng.integers(0, 3, count)
    return (rng.normal(size=(count, width)) + np.eye(3, width)[labels]).astype(np.float16), labels


def test_machines_equal_scikit_learns() -> None:
    """Three classes at three costs in one call, samples of the class twice as heavy."""
    values, labels = rows()
    signs = np.concatenate([np.where(labels[:, None] == np.arange(3), 1.0, -1.0)] * 3, axis=1)
    costs = np.concatenate([c * np.where(labels[:, None] == np.arange(3), 2.0, 1.0) for c in (0.01, 1, 10)], axis=1)
    found = fit_svms(UnitRows(values, CPU), torch.from_numpy(signs).float(), torch.from_numpy(costs).float(), 1e-5)
    for column in range(9):
        peer = LinearSVC(C=(0.01, 1, 10)[column // 3], class_weight={1: 2, -1: 1}, tol=1e-10, max_iter=100_000)
        peer.fit(unit(values), signs[:, column])
        assert np.allclose(found[:-1, column].numpy(), peer.coef_[0], atol=2e-3)
        assert np.allclose(float(found[-1, column]), peer.intercept_[0], atol=2e-3)


def test_rows_of_no_cost_are_not_seen() -> None:
    values, labels = rows()
    signs = torch.from_numpy(np.where(labels == 0, 1.0, -1.0)).float()[:, None]
    seen = torch.arange(80) % 3 > 0
    whole = fit_svms(UnitRows(values, CPU), signs, seen.float()[:, None], 1e-5)
    part = fit_svms(UnitRows(values[seen.numpy()], CPU), signs[seen], torch.ones(int(seen.sum()), 1), 1e-5)
    assert torch.allclose(whole, part, atol=1e-3)


def test_many_blocks_of_rows_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = rows()
    signs = torch.from_numpy(np.where(labels == 0, 1.0, -1.0)).float()[:, None]
    whole = fit_svms(UnitRows(values, CPU), signs, torch.ones(80, 1), 1e-5)
    monkeypatch.setattr(squared_hinge, "ROWS", 7)
    monkeypatch.setattr(squared_hinge, "WIDENED_GB", 0.0)
    blocks = UnitRows(values, CPU)
    assert torch.allclose(fit_svms(blocks, signs, torch.ones(80, 1), 1e-5), whole, atol=1e-4)
    expected = unit(values) @ whole[:-1].double().numpy() + whole[-1].double().numpy()
    assert np.allclose(blocks.scores(whole).numpy(), expected, atol=1e-4)

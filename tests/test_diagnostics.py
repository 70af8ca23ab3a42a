from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from selftaught.diagnostics import (
    alignment,
    collapse_warning,
    describe_features,
    frechet_distance,
    rankme,
    uniformity,
)
from selftaught.randomness import generator


def features(n: int = 64, d: int = 16) -> torch.Tensor:
    return torch.randn(n, d, generator=generator("features"))


def test_rankme_equals_its_formula_in_numpy() -> None:
    x = features().numpy().astype(np.float64)
    singular = np.linalg.svd(x, compute_uv=False)
    p = singular / singular.sum() + 1e-7
    assert rankme(torch.from_numpy(x)) == pytest.approx(float(np.exp(-(p * np.log(p)).sum())), rel=1e-6)


def test_rankme_of_known_ranks() -> None:
    assert rankme(torch.eye(8)) == pytest.approx(8, rel=1e-3)
    assert rankme(torch.ones(8, 8)) == pytest.approx(1, rel=1e-3)


def test_alignment_and_uniformity_equal_loops() -> None:
    first, second = features(7, 4), features(14, 4)[7:]
    unit = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in first.double().tolist()]
    other = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in second.double().tolist()]

    def squared(a: list[float], b: list[float]) -> float:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    mean = sum(squared(a, b) for a, b in zip(unit, other, strict=True)) / 7
    assert alignment(first, second) == pytest.approx(mean)
    pairs = [math.exp(-2 * squared(unit[i], unit[j])) for i in range(7) for j in range(i)]
    assert uniformity(first) == pytest.approx(math.log(sum(pairs) / len(pairs)))


@pytest.mark.parametrize("n", [40, 6])  # 6 rows of 8 numbers: singular covariances
def test_frechet_distance_equals_its_formula_with_matrix_roots(n: int) -> None:
    x, y = features(n, 8).double().numpy(), (1 + 2 * features(2 * n, 8)[n:].double()).numpy()
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(c)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ d @ root).clip(min=0)).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * both
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_distance_of_a_set_to_itself_and_to_a_shifted_one() -> None:
    x = features()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 0.5) == pytest.approx(16 * 0.25, rel=1e-4)
    assert frechet_distance(x[:32], x[32:]) > 0.5  # few samples: far from 0 for one and the same distribution


def test_collapsed_features_are_called_so_and_healthy_ones_are_not() -> None:
    healthy = describe_features(features(), features())
    assert collapse_warning(healthy) is None
    assert healthy["feature_std"] == pytest.approx(1.0, abs=0.05)
    point = torch.ones(64, 16) + 1e-4 * features()
    warning = collapse_warning(describe_features(point, point))
    assert warning is not None
    assert "collapsed" in warning

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from selftaught.diagnostics import alignment, collapse_warning, describe_features, rankme, uniformity
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


def test_collapsed_features_are_called_so_and_healthy_ones_are_not() -> None:
    healthy = describe_features(features(), features())
    assert collapse_warning(healthy) is None
    assert healthy["feature_std"] == pytest.approx(1.0, abs=0.05)
    point = torch.ones(64, 16) + 1e-4 * features()
    warning = collapse_warning(describe_features(point, point))
    assert warning is not None
    assert "collapsed" in warning

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.features.diagnostics import (
    alignment,
    alpha_req,
    collapse_warning,
    describe_features,
    frechet_distance,
    lidar,
    power_law_exponent,
    rankme,
    share_of_longest,
    uniformity,
)


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


def test_rankme_of_isotropic_gaussian_features_is_full() -> None:
    assert rankme(features(4000, 16)) == pytest.approx(16, rel=0.01)


def with_spectrum(spectrum: np.ndarray, n: int) -> torch.Tensor:
    """Features (n, K), of mean other than 0, whose covariance has exactly these eigenvalues."""
    x = features(n, len(spectrum)).double().numpy()
    directions = np.linalg.qr(x - x.mean(0))[0] * math.sqrt(n - 1)
    turn = np.linalg.qr(features(len(spectrum), len(spectrum)).double().numpy())[0]
    return torch.from_numpy(directions * np.sqrt(spectrum) @ turn.T + 5)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.5])
def test_alpha_req_is_the_exponent_of_the_spectrum(exponent: float) -> None:
    spectrum = np.arange(1, 121.0) ** -exponent
    assert alpha_req(with_spectrum(spectrum, 300)) == pytest.approx(exponent, abs=1e-6)
    assert power_law_exponent(torch.from_numpy(7 * spectrum)) == pytest.approx(exponent, abs=1e-9)


def test_alpha_req_of_drawn_features_is_near_the_exponent_of_what_they_were_drawn_from() -> None:
    spread = torch.arange(1, 257.0).pow(-0.5)
    assert alpha_req(features(4000, 256) * spread) == pytest.approx(1.0, abs=0.07)
    assert alpha_req(features(4000, 256)) == pytest.approx(0.0, abs=0.15)  # isotropic: no decay but that of chance


@pytest.mark.parametrize(("n", "d", "last"), [(400, 256, 100), (400, 64, 32), (60, 200, 29)])
def test_alpha_req_equals_a_weighted_fit_by_numpy(n: int, d: int, last: int) -> None:
    x = features(n, d).double().numpy() * np.linspace(2, 0.1, d)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x, rowvar=False)))[::-1]
    ranks = np.arange(6, last + 1)
    slope = np.polyfit(np.log(ranks), np.log(eigenvalues[ranks - 1]), 1, w=ranks**-0.5)[0]  # w is squared there
    assert alpha_req(torch.from_numpy(x)) == pytest.approx(-float(slope), rel=1e-6)


def test_alpha_req_of_too_few_directions_is_nan() -> None:
    rank_10 = features(40, 10) @ features(10, 40)
    for few in (features(16, 40), features(40, 15), torch.ones(40, 40), rank_10, features(1)):
        assert math.isnan(alpha_req(few))
    assert math.isfinite(alpha_req(features(17, 40)))


def views(n: int, q: int, d: int, inside: float = 0.5) -> torch.Tensor:
    return features(n, d)[:, None] + inside * features(n * q, d).view(n, q, d)


@pytest.mark.parametrize(("n", "d"), [(40, 8), (7, 12)])
def test_lidar_equals_its_formula_with_matrix_roots(n: int, d: int) -> None:
    x = views(n, 3, d).double().numpy()
    means = x.mean(1)
    between = sum(np.outer(m - means.mean(0), m - means.mean(0)) for m in means) / (n - 1)
    within = sum(np.outer(x[i, j] - means[i], x[i, j] - means[i]) for i in range(n) for j in range(3)) / (n * 2)
    values, vectors = np.linalg.eigh(within + 1e-4 * np.eye(d))
    root = vectors / np.sqrt(values) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ between @ root)
    p = eigenvalues.clip(min=0) / eigenvalues.clip(min=0).sum() + 1e-7
    expected = float(np.exp(-(p * np.log(p)).sum()))
    # n < D: the D - n + 1 eigenvalues of 0 are left out, each adds 1.6e-6 to the entropy.
    assert lidar(torch.from_numpy(x)) == pytest.approx(expected, rel=1e-4)


def test_lidar_of_isotropic_features_is_full_and_of_collapsed_ones_is_one() -> None:
    assert lidar(views(2000, 4, 8)) == pytest.approx(8, rel=0.01)
    assert lidar(torch.ones(50, 4, 8)) == pytest.approx(1, abs=0.01)
    line = features(200, 1)[:, None] * torch.ones(8) + 1e-3 * features(800, 8).view(200, 4, 8)
    assert lidar(line) == pytest.approx(1, abs=0.05)
    assert rankme(line[:, 0]) < 1.2


def test_lidar_counts_directions_that_separate_images_where_rankme_counts_all() -> None:
    noise = 3 * features(4000, 6).view(1000, 4, 6)
    told = features(1000, 2)[:, None] + 0.1 * features(4000, 2).view(1000, 4, 2)
    both = torch.cat([told, noise], 2)
    assert rankme(both[:, 0]) > 6
    assert lidar(both) == pytest.approx(2, abs=0.2)
    assert lidar(both) == pytest.approx(lidar(both * 10), rel=1e-2)  # of the scale only delta knows


def test_lidar_of_uninformative_views_is_high_and_alignment_shows_it() -> None:
    noise = features(2000, 8).view(500, 4, 8)
    assert lidar(noise) > 7
    assert alignment(noise[:, 0], noise[:, 1]) == pytest.approx(2, abs=0.1)


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
    many = features(1500, 8)  # more than are compared at once
    distances = torch.pdist(torch.nn.functional.normalize(many.double(), dim=1))
    assert uniformity(many) == pytest.approx(float(distances.square().mul(-2).exp().mean().log()))


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


def test_a_few_long_features_make_the_rank_theirs() -> None:
    x = features(1000, 16)
    assert 0.01 < share_of_longest(x) < 0.03
    x[:10] *= 1000 * torch.eye(16)[0]  # all in one direction
    assert share_of_longest(x) > 0.9
    assert rankme(x) < 8 < rankme(x[10:])
    lengths = [sum(v * v for v in row) for row in x.double().tolist()]
    assert share_of_longest(x, 0.05) == pytest.approx(sum(sorted(lengths)[-50:]) / sum(lengths))


def test_collapsed_features_are_called_so_and_healthy_ones_are_not() -> None:
    healthy = describe_features(features(), features())
    assert collapse_warning(healthy, 64) is None
    assert healthy["feature_std"] == pytest.approx(1.0, abs=0.05)
    point = torch.ones(64, 16) + 1e-4 * features()
    warning = collapse_warning(describe_features(point, point), 64)
    assert warning is not None
    assert "collapsed" in warning


def test_no_collapse_is_reported_for_few_samples() -> None:
    """The rank of two samples is at most two, whatever the features are."""
    two = features()[:2]
    figures = describe_features(two, two)
    assert figures["rankme"] < 2.01
    assert collapse_warning(figures, 2) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = describe_features(two[:1], two[:1])
    assert math.isnan(one["feature_std"])
    assert collapse_warning(one, 1) is None

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selftaught.core.randomness import generator
from selftaught.tasks.parts.kmeans import (
    fit_whitening,
    kmeans,
    nearest,
    normalised_mutual_information,
    split_for_empty,
    whiten,
)


def blobs(each: int = 20, spread: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Three far groups of points in the plane, and which each belongs to."""
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]).repeat_interleave(each, 0)
    noise = torch.randn(3 * each, 2, generator=generator("blobs")) * spread
    return centres + noise, torch.arange(3).repeat_interleave(each)


def test_whitened_components_have_variance_1_and_no_correlation() -> None:
    mixing = torch.randn(6, 8, generator=generator(0))
    features = torch.randn(500, 6, generator=generator(1)) @ mixing + 3  # 8 numbers, but 6 directions
    mean, matrix = fit_whitening(features, 8)
    assert matrix.shape == (8, 6)
    white = (features - mean) @ matrix
    assert torch.allclose(white.T @ white / 499, torch.eye(6), atol=1e-3)
    fewer = fit_whitening(features, 2)[1]
    assert torch.equal(fewer, matrix[:, :2])
    variance = [float(((features - mean) @ v / v.norm()).var()) for v in matrix.T]
    assert variance == sorted(variance, reverse=True)
    assert torch.allclose(whiten(features, mean, matrix).norm(dim=1), torch.ones(500), atol=1e-5)


def test_whitening_is_the_eigenvectors_of_the_covariance_over_their_root() -> None:
    features = torch.randn(40, 5, generator=generator(1)) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]) + 100
    mean, matrix = fit_whitening(features, 4)
    variance, vectors = torch.linalg.eigh(features.double().T.cov())
    expected = (vectors / variance.sqrt()).flip(1)[:, :4].float()
    signs = (matrix * expected).sum(0).sign()  # an eigenvector points either way
    assert torch.allclose(mean, features.mean(0))
    assert torch.allclose(matrix * signs, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_whitening_has_fewer_directions_than_samples(count: int) -> None:
    features = torch.randn(count, 6, generator=generator(2))
    mean, matrix = fit_whitening(features, 6)
    assert matrix.shape == (6, count - 1)
    white = (features - mean) @ matrix
    assert torch.allclose(white.T @ white, (count - 1) * torch.eye(count - 1), atol=1e-4)


def test_kmeans_finds_groups_and_is_a_function_of_the_generator() -> None:
    points, group = blobs()
    centroids, labels = kmeans(points, 3, generator(0), restarts=5)
    assert normalised_mutual_information(labels, group) == pytest.approx(1)
    for cluster in range(3):
        assert torch.allclose(centroids[cluster], points[labels == cluster].mean(0), atol=1e-4)
    again = kmeans(points, 3, generator(0), restarts=5)
    assert torch.equal(again[0], centroids)
    assert torch.equal(again[1], labels)


def test_no_cluster_stays_empty_while_another_can_be_split() -> None:
    points, _ = blobs()
    far = torch.full((4, 2), 100.0)
    centroids = torch.cat([torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), far])
    labels = nearest(points, centroids)
    assert int((torch.bincount(labels, minlength=7) == 0).sum()) == 4
    split, moved = split_for_empty(points, centroids, labels, generator(0))
    assert bool((torch.bincount(moved, minlength=7) > 0).all())
    assert normalised_mutual_information(moved, labels) > 0.7  # groups are split, not mixed
    assert float(split.max()) < 10
    same = torch.ones(5, 2)
    assert (
        split_for_empty(same, torch.tensor([[1.0, 1.0], [9.0, 9.0]]), torch.zeros(5).long(), generator(0))[1].max() == 0
    )


def test_nearest_is_the_least_distance() -> None:
    points, centroids = torch.randn(40, 5, generator=generator(2)), torch.randn(7, 5, generator=generator(3))
    expected = [min(range(7), key=lambda k: float((p - centroids[k]).norm())) for p in points]
    assert nearest(points, centroids).tolist() == expected


def test_mutual_information_is_the_formula() -> None:
    first = torch.randint(4, (60,), generator=generator(4))
    second = (first + torch.randint(2, (60,), generator=generator(5))) % 5
    total = information = 0.0
    shares = [[int((x == k).sum()) / 60 for k in range(5)] for x in (first, second)]
    for a in range(4):
        for b in range(5):
            both = int(((first == a) & (second == b)).sum()) / 60
            if both:
                information += both * math.log(both / (shares[0][a] * shares[1][b]))
                total += both
    entropy = [-sum(p * math.log(p) for p in share if p) for share in shares]
    assert total == pytest.approx(1)
    expected = information / math.sqrt(entropy[0] * entropy[1])
    assert normalised_mutual_information(first, second) == pytest.approx(expected)
    renamed = torch.tensor([3, 0, 2, 1])[first]
    assert normalised_mutual_information(first, renamed) == pytest.approx(1)
    assert normalised_mutual_information(first, torch.zeros(60).long()) == 0
    assert normalised_mutual_information(torch.ones(60).long(), torch.zeros(60).long()) == 0


STEADY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""The same examples each time, however slow the machine is."""


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.permutations(range(4)))
@settings(STEADY, max_examples=50)
def test_mutual_information_is_symmetric_and_knows_no_names(pairs: list[tuple[int, int]], names: list[int]) -> None:
    first, second = torch.tensor(pairs).T
    found = normalised_mutual_information(first, second)
    assert -1e-9 <= found <= 1 + 1e-9
    assert normalised_mutual_information(second, first) == pytest.approx(found, abs=1e-9)
    assert normalised_mutual_information(first, torch.tensor(names)[second]) == pytest.approx(found, abs=1e-9)
    itself = normalised_mutual_information(first, torch.tensor(names)[first])
    assert itself == pytest.approx(float(len(first.unique()) > 1))

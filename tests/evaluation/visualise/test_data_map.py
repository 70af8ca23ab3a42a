from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.evaluation.visualise.data_map import data_map, neighbours_kept

CENTRES = 3


def blobs() -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(60) % CENTRES
    return 8 * torch.eye(CENTRES, 20)[labels] + torch.randn(60, 20, generator=generator("map")), labels


def test_blobs_stay_apart_on_the_map() -> None:
    features, labels = blobs()
    points = data_map(features, neighbours=10, seed=1)
    assert points.shape == (60, 2)
    assert points.min() >= 0
    assert points.max() <= 1
    distances = torch.cdist(points, points)
    same = labels[:, None] == labels[None, :]
    centres = torch.stack([points[labels == c].mean(0) for c in range(CENTRES)])
    spread = max(float((points[labels == c] - centres[c]).norm(dim=1).mean()) for c in range(CENTRES))
    assert torch.pdist(centres).min() > 3 * spread
    nearest = distances.fill_diagonal_(torch.inf).argmin(1)
    assert same[torch.arange(60), nearest].all()


def test_the_seed_decides() -> None:
    features, _ = blobs()
    assert torch.equal(data_map(features, seed=1), data_map(features, seed=1))


def test_neighbours_kept_equals_loops() -> None:
    rng = generator("kept")
    features, points = torch.randn(12, 5, generator=rng), torch.rand(12, 2, generator=rng)
    shares = []
    for i in range(12):
        others = [j for j in range(12) if j != i]
        cosine = {j: float(torch.cosine_similarity(features[i], features[j], dim=0)) for j in others}
        apart = {j: float(np.hypot(*(points[i] - points[j]).tolist())) for j in others}
        first = set(sorted(others, key=lambda j: -cosine[j])[:4])
        second = set(sorted(others, key=lambda j: apart[j])[:4])
        shares.append(len(first & second) / 4)
    assert neighbours_kept(features, points, 4) == pytest.approx(100 * sum(shares) / 12)
    angles = torch.linspace(0, 3, 12)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    assert neighbours_kept(circle, circle, 4) == pytest.approx(100)


def test_a_map_needs_images_and_umap_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = blobs()
    with pytest.raises(ValueError, match="at least 8 images, got 7"):
        data_map(features[:7])
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ValueError, match=r"--probe.method umap needs the package umap-learn"):
        data_map(features, method="umap")


def test_a_collapsed_encoder_is_one_point() -> None:
    points = data_map(torch.rand(20, generator=generator("map")).expand(12, 20))
    assert torch.equal(points, torch.full((12, 2), 0.5))


@pytest.mark.slow  # half a minute of compilation by numba
def test_umap_where_it_is_installed() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    features, labels = blobs()
    points = data_map(features, method="umap", neighbours=10)
    nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).argmin(1)
    assert (labels[nearest] == labels).float().mean() > 0.95

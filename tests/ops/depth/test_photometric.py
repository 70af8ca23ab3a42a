"""Differences of images against loops, and roughness that edges excuse."""

from __future__ import annotations

import math

import pytest
import torch

from selftaught.ops.depth.photometric import (
    at_side,
    edge_aware_roughness,
    photometric_difference,
    scaled_intrinsics,
    structural_difference,
)


def test_structure_against_loops() -> None:
    x, y = torch.rand(2, 1, 2, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    found = structural_difference(x, y)
    for c in range(2):
        for row in range(1, 4):
            for column in range(1, 5):
                a, b = (one[0, c, row - 1 : row + 2, column - 1 : column + 2] for one in (x, y))
                both = ((a - a.mean()) * (b - b.mean())).mean()
                alike = (2 * a.mean() * b.mean() + 0.01**2) * (2 * both + 0.03**2)
                of = (a.mean() ** 2 + b.mean() ** 2 + 0.01**2) * (a.var(correction=0) + b.var(correction=0) + 0.03**2)
                assert float(found[0, c, row, column]) == pytest.approx(float((1 - alike / of) / 2))


def test_difference_is_a_share_of_both_and_0_of_the_same() -> None:
    x, y = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mixed = photometric_difference(x, y, 0.85)
    expected = 0.85 * structural_difference(x, y).mean(1) + 0.15 * (x - y).abs().mean(1)
    assert torch.allclose(mixed[:, 0], expected)
    assert torch.equal(photometric_difference(x, y, 0)[:, 0], (x - y).abs().mean(1))
    assert float(photometric_difference(x, x, 0.85).max()) < 1e-6


def test_roughness_against_loops() -> None:
    values, image = torch.rand(1, 1, 3, 4), torch.rand(1, 3, 3, 4)
    down = [
        abs(float(values[0, 0, r + 1, c] - values[0, 0, r, c]))
        * math.exp(-float((image[0, :, r + 1, c] - image[0, :, r, c]).abs().mean()))
        for r in range(2)
        for c in range(4)
    ]
    across = [
        abs(float(values[0, 0, r, c + 1] - values[0, 0, r, c]))
        * math.exp(-float((image[0, :, r, c + 1] - image[0, :, r, c]).abs().mean()))
        for r in range(3)
        for c in range(3)
    ]
    assert float(edge_aware_roughness(values, image)) == pytest.approx(sum(down) / 8 + sum(across) / 9, rel=1e-5)


def test_a_smaller_image_has_means_and_its_intrinsics() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert torch.allclose(at_side(image, 4)[0, :, 0, 0], image[0, :, :2, :2].mean((1, 2)))
    assert at_side(image, 8) is image
    k = torch.tensor([[[8.0, 0, 4], [0, 8, 4], [0, 0, 1]]])
    assert scaled_intrinsics(k, 0.5)[0].tolist() == [[4, 0, 2], [0, 4, 2], [0, 0, 1]]

"""Ridges become lines, whatever their direction, and neighbourhoods are discs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.ops.edges.ridges import near, orientation, thin, triangle


def ridge(angle: float, *, side: int = 40, width: float = 3.0, at: float = 0.0) -> Tensor:
    """A ridge of strength 1 across the middle, whose normal is `angle` radians from x towards y: (1, side, side)."""
    y, x = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2,) * 2, indexing="ij")
    distance = x * math.cos(angle) + y * math.sin(angle) - at
    return torch.exp(-((distance / width) ** 2))[None]


@pytest.mark.parametrize("angle", [0.0, math.pi / 4, math.pi / 2, 2.0])
def test_a_ridge_becomes_a_line_where_it_is_highest(angle: float) -> None:
    edges = ridge(angle, at=0.3)
    inside = thin(edges)[0, 6:-6, 6:-6]
    y, x = torch.meshgrid(*(torch.arange(40) - 19.5,) * 2, indexing="ij")
    distance = (x * math.cos(angle) + y * math.sin(angle) - 0.3).abs()[6:-6, 6:-6]
    inside = inside * (inside > 1e-3)  # what is left of the foot of a ridge
    assert float(distance[inside > 0].max()) < 1.0
    count = int((inside > 0).sum())
    assert 28 <= count <= 28 * 2.2  # a line from side to side, a staircase where it is oblique
    assert torch.equal(inside[inside > 0], edges[0, 6:-6, 6:-6][inside > 0])


@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2, 2.2])
def test_orientation_is_across_the_ridge(angle: float) -> None:
    found = float(orientation(ridge(angle))[0, 19, 19])
    assert abs(math.sin(found - angle)) < 0.1


def test_a_step_of_strength_along_a_line_is_kept_and_a_parallel_one_beside_it_is_not() -> None:
    edges = torch.zeros(1, 20, 20)
    edges[0, 10], edges[0, 11] = 1.0, 0.9
    found = thin(edges)
    assert bool((found[0, 10, 2:-2] == 1).all())
    assert not found[0, 11].any()


def test_edges_fall_towards_the_border() -> None:
    found = thin(torch.ones(1, 20, 24), border=4)
    assert not found[0, 0].any()
    assert float(found[0, 2, 12]) == pytest.approx(0.5)
    assert float(found[0, 10, 21]) == pytest.approx(0.5)
    assert float(found[0, 10, 12]) == 1


def test_triangle_filter_against_loops() -> None:
    maps = torch.rand(1, 6, 7, generator=torch.Generator().manual_seed(0))
    weights = [1, 2, 3, 2, 1]
    for y in range(6):
        for x in range(7):
            total = sum(
                wy * wx * float(maps[0, min(max(y + i - 2, 0), 5), min(max(x + j - 2, 0), 6)])
                for i, wy in enumerate(weights)
                for j, wx in enumerate(weights)
            )
            assert float(triangle(maps, 2)[0, y, x]) == pytest.approx(total / 81, abs=1e-6)
    assert torch.equal(triangle(maps, 0), maps)


def test_near_is_a_disc() -> None:
    lines = torch.zeros(1, 11, 11, dtype=torch.bool)
    lines[0, 5, 5] = True
    y, x = np.mgrid[:11, :11]
    assert np.array_equal(near(lines, 3)[0].numpy(), (y - 5) ** 2 + (x - 5) ** 2 <= 9)

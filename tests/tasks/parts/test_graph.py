from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.tasks.parts.graph import cycle_pairs, geodesic_distances, nearest_neighbours, same_class


def test_neighbours_are_the_nearest_others() -> None:
    points = torch.randn(30, 4, generator=generator(0))
    points[7] = points[3]  # the same point twice is still no neighbour of itself
    found, distances = nearest_neighbours(points, 5)
    exact = torch.cdist(points, points).fill_diagonal_(float("inf"))
    for row in range(30):
        expected = exact[row].sort()
        assert sorted(found[row].tolist()) == sorted(expected.indices[:5].tolist())
        assert distances[row].tolist() == pytest.approx(expected.values[:5].tolist(), abs=2e-3)
        assert row not in found[row]


@pytest.mark.parametrize("longest", [2, 3, 4])
def test_pairs_on_cycles_are_those_a_search_finds(longest: int) -> None:
    neighbours = np.stack(
        [np.random.default_rng(i).permutation([j for j in range(14) if j != i])[:2] for i in range(14)]
    )
    edges = {(i, int(j)) for i in range(14) for j in neighbours[i]}
    expected = set()
    for length in range(2, longest + 1):
        for circle in itertools.permutations(range(14), length):
            if all((circle[i], circle[(i + 1) % length]) in edges for i in range(length)):
                expected |= {tuple(sorted(pair)) for pair in itertools.combinations(circle, 2)}
    found = [tuple(pair) for pair in cycle_pairs(neighbours, longest).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_the_ways_differ_with_the_longest_cycle() -> None:
    """A path of edges in both directions has cycles of two only: there and back is no cycle of four."""
    path = np.array([[1, 1], [0, 2], [1, 3], [2, 2]])
    assert cycle_pairs(path, 4).tolist() == [[0, 1], [1, 2], [2, 3]]
    ring = np.array([[1], [2], [3], [0]])
    assert cycle_pairs(ring, 3).tolist() == []
    assert cycle_pairs(ring, 4).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_geodesic_distances_are_the_shortest_ways() -> None:
    neighbours = np.array([[1], [2], [1], [4], [3]])
    lengths = np.array([[1.0], [2.0], [2.0], [0.0], [0.0]], np.float32)
    found = geodesic_distances(neighbours, lengths, np.array([0, 3]))
    assert found[0].tolist() == pytest.approx([0, 1, 3, np.inf, np.inf])
    assert found[1].tolist() == pytest.approx([np.inf, np.inf, np.inf, 0, 0], abs=1e-6)


def test_same_class_counts_pairs_with_labels() -> None:
    labels = torch.tensor([0, 0, 1, -1])
    assert same_class(torch.tensor([[0, 1], [0, 2], [1, 3]]), labels) == 0.5

"""Who listens to whom, and what becomes of votes, as loops over all regions find it."""

from __future__ import annotations

import math

import numpy as np

from selftaught.data.computed.regions.voting import transitions, voted


def test_transitions_against_loops() -> None:
    rng = np.random.default_rng(0)
    described = [(rng.normal(size=(k, 4)) / 3).astype(np.float32) for k in (3, 5, 4, 6)]
    table = transitions(described, reach=1, neighbours=1, variance=0.1).toarray()
    regions = [(t, one) for t, frame in enumerate(described) for one in frame]
    for i, (t, one) in enumerate(regions):
        near = [(0.0 if i == j else math.dist(one, other), j) for j, (u, other) in enumerate(regions) if abs(u - t) < 2]
        row = np.zeros(len(regions))
        for apart, j in sorted(near)[:3]:  # 1 neighbour for each of 3 frames
            row[j] = math.exp(-(apart**2) / 0.1)
        assert np.allclose(table[i], row / row.sum(), atol=1e-5)


def test_equal_regions_take_the_mean_of_their_votes() -> None:
    described = [np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)]
    table = transitions(described, reach=1, neighbours=1, variance=0.1)
    assert np.allclose(table.toarray(), 0.5)


def test_votes_against_loops() -> None:
    rng = np.random.default_rng(1)
    described = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(3)]
    table = transitions(described, reach=2, neighbours=1, variance=1.0)
    first = rng.random(9).astype(np.float32)
    first[6:] = 0
    votes = first.tolist()
    dense = table.toarray()
    for _ in range(4):
        votes = [sum(dense[i, j] * votes[j] for j in range(9)) for i in range(9)]
        for start in (0, 3, 6):
            most = max(votes[start : start + 3])
            votes[start : start + 3] = [vote / most for vote in votes[start : start + 3]]
    assert np.allclose(voted(first, table, [3, 3, 3], rounds=4), votes, atol=1e-6)


def test_where_nobody_votes_nobody_does() -> None:
    table = transitions([np.zeros((2, 2), np.float32)], reach=1, neighbours=1, variance=0.1)
    assert voted(np.zeros(2, np.float32), table, [2], rounds=3).tolist() == [0, 0]

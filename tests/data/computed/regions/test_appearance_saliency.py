"""Manifold ranking of regions: the ranks by loops over a graph, and what stands out in a frame."""

from __future__ import annotations

import numpy as np

from selftaught.data.computed.regions.appearance_saliency import appearance_saliency
from selftaught.data.computed.regions.superpixels import lab_of, superpixels


def test_the_two_rankings_against_loops() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    labels = ((np.arange(12)[:, None] // 3) * 4 + np.arange(16) // 4).astype(np.int32)  # 4 x 4 regions
    edge = [k for k in range(16) if k // 4 in (0, 3) or k % 4 in (0, 3)]
    colour = [lab_of(frame)[labels == k].mean(0) / (100, 255, 255) for k in range(16)]
    beside = [[abs(a // 4 - b // 4) + abs(a % 4 - b % 4) == 1 for b in range(16)] for a in range(16)]
    weights = np.zeros((16, 16))
    for a in range(16):
        for b in range(16):
            second = any(beside[a][k] and beside[k][b] for k in range(16))
            if a != b and (beside[a][b] or second or (a in edge and b in edge)):
                weights[a, b] = np.exp(-np.linalg.norm(colour[a] - colour[b]) / 0.1)
    inverse = np.linalg.inv(np.diag(weights.sum(1)) - 0.99 * weights)
    np.fill_diagonal(inverse, 0)

    def ranks(query: list[int]) -> np.ndarray:
        found = np.sum([inverse[:, k] for k in query], axis=0)
        return np.asarray((found - found.min()) / (found.max() - found.min()))

    salient = np.ones(16)
    for side in ([0, 1, 2, 3], [12, 13, 14, 15], [0, 4, 8, 12], [3, 7, 11, 15]):
        salient *= 1 - ranks(side)
    expected = ranks([k for k in range(16) if salient[k] >= salient.mean()])
    assert np.allclose(appearance_saliency(frame, labels), expected, atol=1e-3)


def test_a_thing_of_another_colour_stands_out() -> None:
    frame = np.full((40, 60, 3), (60, 110, 60), np.uint8)
    frame[12:28, 20:42] = (190, 60, 50)
    labels = superpixels(frame, 60)
    saliency = appearance_saliency(frame, labels)[labels]
    assert saliency[14:26, 23:39].mean() > 0.8
    assert saliency[:8].mean() < 0.2


def test_a_frame_of_one_region_has_no_saliency() -> None:
    assert appearance_saliency(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.int32)).shape == (1,)

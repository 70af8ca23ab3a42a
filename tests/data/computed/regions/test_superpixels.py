"""Superpixels follow colour and place, as plain loops find them."""

from __future__ import annotations

import numpy as np

from selftaught.data.computed.regions.superpixels import lab_of, region_means, superpixels
from tests.data.computed.moving import shifting, texture


def test_one_round_is_the_nearest_of_nine_clusters() -> None:
    """Two rows of three cells: each pixel by loops over the clusters beside its own."""
    frame = texture(12, 18).astype(np.uint8)
    found = superpixels(frame, 6)
    side = (12 * 18 / 6) ** 0.5
    lab = lab_of(frame).astype(np.float64)
    cell = {(y, x): (y // 6) * 3 + x // 6 for y in range(12) for x in range(18)}
    labels = dict(cell)
    for _ in range(5):
        centres = {}
        for k in range(6):
            own = [p for p in labels if labels[p] == k]
            centres[k] = np.mean([[*lab[p], 10 * p[0] / side, 10 * p[1] / side] for p in own], axis=0)
        for y, x in labels:
            row, column = divmod(cell[y, x], 3)
            near = [r * 3 + c for r in (0, 1) for c in range(3) if abs(r - row) <= 1 and abs(c - column) <= 1]
            point = np.array([*lab[y, x], 10 * y / side, 10 * x / side])
            labels[y, x] = min(near, key=lambda k: float(((point - centres[k]) ** 2).sum()))
    expected = np.array([[labels[y, x] for x in range(18)] for y in range(12)])
    assert (found == np.unique(expected, return_inverse=True)[1].reshape(12, 18)).mean() > 0.99


def test_a_border_of_colour_is_a_border_of_regions() -> None:
    frame = shifting(1, 0, 0, height=40, width=60)[0] // 8
    frame[:, 23:] += 150
    labels = superpixels(frame, 24)
    left, right = set(labels[:, :23].reshape(-1).tolist()), set(labels[:, 23:].reshape(-1).tolist())
    assert not left & right
    assert sorted(left | right) == list(range(int(labels.max()) + 1))
    assert 20 <= len(left | right) <= 28


def test_means_of_regions_against_loops() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 4, 50)
    labels[labels == 2] = 3
    found = region_means(values, labels, 5)
    for k in range(5):
        expected = values[labels == k].mean(0) if (labels == k).any() else np.zeros(3)
        assert np.allclose(found[k], expected, atol=1e-6)


def test_the_smallest_frames_have_regions() -> None:
    assert superpixels(np.zeros((1, 1, 3), np.uint8), 400).tolist() == [[0]]
    assert superpixels(np.zeros((2, 3, 3), np.uint8), 1).max() == 0

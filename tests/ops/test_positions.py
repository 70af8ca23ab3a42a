from __future__ import annotations

import math

import pytest

from selftaught.ops.positions import grid_positions, sine_cosine


def test_positions_go_row_by_row() -> None:
    assert grid_positions(2, 3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_embeddings_equal_loops() -> None:
    found = sine_cosine(grid_positions(3, 5), 8)
    assert found.shape == (15, 8)
    for cell in range(15):
        expected = []
        for place in (cell % 5, cell // 5):
            angles = [place / 10000 ** (4 * i / 8) for i in range(2)]
            expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        assert found[cell].tolist() == pytest.approx(expected, abs=1e-6)


def test_features_must_come_in_fours() -> None:
    with pytest.raises(ValueError, match="need a multiple of 4 features, got 6"):
        sine_cosine(grid_positions(1, 1), 6)

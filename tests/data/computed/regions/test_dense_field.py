"""The random field: its grid against the sum over all pairs, its rounds against loops, and what it makes of a mask."""

from __future__ import annotations

import numpy as np

from selftaught.data.computed.regions.dense_field import bilateral, refined
from tests.data.computed.moving import texture


def test_the_grid_against_loops() -> None:
    """Values are added up in cells of place and colour, and each cell takes a quarter of both neighbours five times."""
    frame = (texture(9, 12) * 0.4).astype(np.uint8)
    values = np.random.default_rng(0).normal(size=(9, 12))
    found = bilateral(frame, 3.0, 20.0)(values)
    cells = {
        (y, x): tuple(int(v) for v in (y * 0.82 / 3, x * 0.82 / 3, *(frame[y, x].astype(float) * 0.82 / 20)))
        for y in range(9)
        for x in range(12)
    }
    grid = dict.fromkeys(cells.values(), 0.0)
    for pixel, cell in cells.items():
        grid[cell] += values[pixel]
    for axis in range(5):

        def beside(cell: tuple[int, ...], step: int, axis: int = axis) -> tuple[int, ...]:
            return (*cell[:axis], cell[axis] + step, *cell[axis + 1 :])

        grid = {c: (2 * v + grid.get(beside(c, -1), 0.0) + grid.get(beside(c, 1), 0.0)) / 4 for c, v in grid.items()}
    assert len(grid) > 20
    for pixel, cell in cells.items():
        assert abs(found[pixel] - grid[cell]) < 1e-9


def test_pixels_of_one_colour_hear_each_other_and_others_do_not() -> None:
    frame = np.zeros((10, 20, 3), np.uint8)
    frame[:, 10:] = 200
    values = np.zeros((10, 20))
    values[5, 9] = 1
    found = bilateral(frame, 8.0, 13.0)(values)
    assert found[5, 8] > 0
    assert not found[:, 10:].any()


def test_a_mask_grows_to_the_edge_of_its_colour() -> None:
    """Of a thing half is known, of the ground all but a band around it."""
    frame = (texture(48, 72) * 0.05).astype(np.uint8) + np.uint8(40)
    frame[14:34, 20:52] += 120
    alone = np.full((48, 72), 0.3, np.float32)
    alone[10:38, 16:56] = 0.5
    alone[18:30, 24:40] = 0.7
    found = refined(frame, alone) > 0.5
    truth = np.zeros((48, 72), bool)
    truth[14:34, 20:52] = True
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def test_where_nothing_is_known_nothing_is_found() -> None:
    found = refined(texture(12, 12).astype(np.uint8), np.full((12, 12), 0.5, np.float32))
    assert np.allclose(found, 0.5)

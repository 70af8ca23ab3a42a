"""Bodies are as large as asked for, and of many kinds."""

from __future__ import annotations

import numpy as np

from selftaught.data.sources.world.shapes import draw_body, stool


def test_bodies_are_of_every_kind_and_within_their_size() -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(300):
        parts = draw_body(rng, 0.5)
        kinds |= {part.kind for part in parts}
        for part in parts:
            if part.kind == "mesh":
                points = np.array(part.points).reshape(-1, 3)
                assert np.linalg.norm(points, axis=1).max() <= 0.5 + 1e-9
            assert all(0 < length <= 0.5 for length in part.size)
    assert kinds == {"box", "sphere", "capsule", "cylinder", "ellipsoid", "mesh"}


def test_a_stool_stands_on_four_legs() -> None:
    seat, *legs = stool(np.random.default_rng(0), 1.0)
    assert (seat.kind, len(legs)) == ("box", 4)
    assert {leg.place[2] - leg.size[1] for leg in legs} == {-0.5}

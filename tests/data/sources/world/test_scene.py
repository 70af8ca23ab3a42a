"""A scene follows from its generator, holds as many bodies as asked for, and keeps its camera free."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.sources.world.scene import FAR, Scene, draw_scene

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")


def drawn(seed: int, place: str | None = None, least: int = 5, most: int = 12) -> Scene:
    rng = np.random.default_rng(seed)
    return draw_scene(rng, place=place, bodies=(least, most), textures=9, seconds=1.0)  # type: ignore[arg-type]


def test_the_same_generator_gives_the_same_scene() -> None:
    one, same, other = drawn(1), drawn(1), drawn(2)
    assert np.array_equal(one.model.geom_size, same.model.geom_size)
    assert np.array_equal(one.model.qpos0, same.model.qpos0)
    assert np.array_equal(one.surfaces.gain, same.surfaces.gain)
    assert one.model.nq != other.model.nq or not np.array_equal(one.model.qpos0, other.model.qpos0)


def test_rows_of_surfaces_are_those_of_the_shapes() -> None:
    for seed in range(6):
        scene = drawn(seed)
        assert len(scene.instance) == len(scene.surfaces.texture) == scene.model.ngeom
        # A body has one number, and the background none: the order of MuJoCo is that of the builder.
        for number in range(scene.instance.max() + 1):
            bodies = set(scene.model.geom_bodyid[scene.instance == number].tolist())
            assert len(bodies) == 1
            assert (bodies == {0}) == (number == 0)


@pytest.mark.parametrize(("least", "most"), [(0, 0), (5, 5), (40, 40)])
def test_as_many_bodies_can_move_as_asked_for(least: int, most: int) -> None:
    assert drawn(3, least=least, most=most).model.nv == 6 * least


def test_rooms_are_closed_and_open_ground_has_a_sky() -> None:
    assert (drawn(0, "indoor").sky is None, drawn(0, "outdoor").sky is None) == (True, False)
    assert {drawn(seed).place for seed in range(8)} == {"indoor", "outdoor"}
    assert all(float(np.abs(drawn(seed).model.geom_pos).max()) < FAR for seed in range(4))

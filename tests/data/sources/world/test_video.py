"""A frame follows from the settings, the part and two numbers, whoever reads it and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")


def scenes(part: str = "train", **settings: int) -> Scenes:
    return Scenes(WorldSettings(side=24, frames=4, most=8, **settings), part, drawn_textures())  # type: ignore[arg-type]


def images(one: Scenes, number: int, *frames: int) -> list[NDArray[np.uint8]]:
    return [frame for frame in one.video(number).frames(frames) if not isinstance(frame, Exception)]


def test_frames_are_the_same_again() -> None:
    first = images(scenes(), 3, 0, 1, 2, 3)
    again = images(scenes(), 3, 3, 0)
    assert np.array_equal(first[3], again[0])
    assert np.array_equal(first[0], again[1])
    assert not np.array_equal(first[0], first[3])
    assert scenes().video(3).shape == (24, 24)


def test_another_number_part_or_seed_is_another_scene() -> None:
    others = ((scenes(), 0), (scenes(), 1), (scenes("val"), 0), (scenes(seed=1), 0))
    seen = [images(one, number, 0)[0] for one, number in others]
    assert all(not np.array_equal(seen[i], seen[j]) for i in range(4) for j in range(i))


def test_what_is_given_is_of_the_frame() -> None:
    video = scenes().video(0)
    found = video.given(["depth", "pose", "flow"], 2)
    simulation = video.simulation()
    frame = video.frame(simulation, 2)
    assert np.array_equal(found["depth"], frame.depth())
    assert np.array_equal(found["pose"], frame.camera.pose.astype(np.float32))
    assert found["flow"].shape == (24, 24, 2)

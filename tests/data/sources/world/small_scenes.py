"""Scenes of few shapes whose places are known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.sources.world.camera import Path
from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.render import Frame
from selftaught.data.sources.world.scene import Light, Scene, Surfaces
from selftaught.data.sources.world.textures import SIZE, Textures

mujoco = pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")

CENTRE, RADIUS = np.array([3.0, 0.2, 0.7]), 0.5
"""Of the ball in `ball_on_ground`."""
XML = """<mujoco><option gravity="0 0 {gravity}" timestep="0.01"/><worldbody>
<geom type="plane" size="0 0 1"/>
<body pos="3 0.2 0.7"><freejoint/><geom type="sphere" size="0.5" density="300"/></body>
<body pos="4 -0.9 0.4"><geom type="box" size="0.3 0.3 0.4"/></body>
</worldbody></mujoco>"""


def smooth_textures() -> Textures:
    """Waves of one period a texture."""
    x, y = np.meshgrid(*[(np.arange(SIZE) + 0.5) / SIZE * 2 * np.pi] * 2)
    return Textures(
        [np.stack([0.4 + 0.2 * np.sin(x), 0.4 + 0.2 * np.sin(y), 0.4 + 0.2 * np.sin(x + y)], 2).astype(np.float32)]
    )


def path_of(velocity: Sequence[float] = (0, 0, 0), sway: Sequence[float] = (0, 0, 0), roll: float = 0.0) -> Path:
    return Path(
        focal=0.9,
        start=np.array([0, 0, 1.2]),
        velocity=np.array(velocity, np.float64),
        target=np.array([3, 0, 0.5]),
        target_velocity=np.array([0, 0.2, 0.1]) if any(velocity) else np.zeros(3),
        sway=np.array(sway, np.float64),
        phase=0.3,
        roll=roll,
    )


def ball_on_ground(
    path: Path | None = None,
    *,
    gravity: float = 0.0,
    velocity: Sequence[float] = (0, 0, 0),
    lights: Sequence[Light] = (),
    sky: NDArray[np.float64] | None = None,
) -> Scene:
    """Ground (shape 0), a ball of 0.5 m (1) and a fast box (2), without light but from all around."""
    model = mujoco.MjModel.from_xml_string(XML.format(gravity=gravity))
    return Scene(
        model=model,
        velocity=np.array([*velocity, 0, 0, 0], np.float64),
        before=0.0,
        instance=np.array([0, 1, 2], np.int16),
        surfaces=Surfaces(
            texture=np.zeros(3, np.intp),
            metres=np.full(3, 4, np.float32),
            gain=np.ones((3, 3), np.float32),
            gloss=np.zeros(3, np.float32),
        ),
        lights=lights,
        ambient=np.full((2, 3), 0.8),
        sky=sky,
        clouds=0.0,
        path=path or path_of(),
        place="outdoor",
    )


def frame_of(scene: Scene, number: int = 0, *, side: int = 48, fps: float = 10.0) -> Frame:
    return Frame(Simulation(scene, fps), number, side=side, textures=smooth_textures())

"""Where all shapes of a scene are at each frame, simulated as far as frames are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.camera import Camera
from selftaught.data.sources.world.scene import FAR, STEP, UNSEEN, Scene

Floats = NDArray[np.float64]
_SEEN = np.array([group != UNSEEN for group in range(6)], np.uint8)
_MOVES = 0.05
"""Metres a second from which on a body moves."""


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What N rays meet first."""

    shape: NDArray[np.int32]
    """(N,) -1 where there is nothing."""
    distance: Floats
    """(N,) in lengths of the ray."""
    normal: Floats
    """(N, 3)"""


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the G shapes are at one moment."""

    place: Floats
    """(G, 3)"""
    turn: Floats
    """(G, 3, 3) shape to world."""
    positions: Floats
    """(nq,) as MuJoCo has them."""


class Simulation:
    """The motion of one scene; not to be shared by threads.

    Attributes:
        on_step: called with MuJoCo's model and data after each step.
    """

    def __init__(self, scene: Scene, fps: float) -> None:
        import mujoco

        self.scene = scene
        self._mujoco, self._model = mujoco, scene.model
        self._data: Any = mujoco.MjData(scene.model)
        self._drawn: Any = mujoco.MjData(scene.model)
        mujoco.set_mju_user_warning(_ignore)  # else it writes a file into the current folder
        self._data.qvel[:] = scene.velocity
        self._steps = max(1, math.ceil(1 / fps / STEP))
        self.fps = fps
        self._states: list[State] = []
        self._shown = -1
        self.on_step: Callable[[Any, Any], None] | None = None

    def radii(self) -> Floats:
        """(B,) of balls as large as the shapes of each of MuJoCo's bodies, metres."""
        found = np.zeros(self._model.nbody)
        np.maximum.at(found, self._model.geom_bodyid, self._model.geom_rbound)
        return found

    def state(self, frame: int) -> State:
        """The shapes at a frame; numbers are simulated in order, whatever is asked for first."""
        while len(self._states) <= frame:
            if not self._states:
                self._advance(STEP, round(self.scene.before / STEP))
            else:
                self._advance(1 / self.fps / self._steps, self._steps)
            # Where the drawn data are for: the last forces must not tell where shapes are.
            self._show(self._data.qpos)
            self._shown = len(self._states)
            turn = self._drawn.geom_xmat.reshape(-1, 3, 3).copy()
            self._states.append(State(place=self._drawn.geom_xpos.copy(), turn=turn, positions=self._data.qpos.copy()))
        return self._states[frame]

    def moving(self, frame: int) -> NDArray[np.bool_]:
        """(G,) whether a shape moves from this frame to the next."""
        here, after = self.state(frame), self.state(frame + 1)
        shift = np.linalg.norm(after.place - here.place, axis=1)
        angle = np.linalg.norm(after.turn - here.turn, axis=(1, 2)) / np.sqrt(2)
        reach = np.where(self.scene.instance > 0, self._model.geom_rbound, 0)
        return np.asarray((shift + angle * reach) * self.fps > _MOVES)

    def cast(self, frame: int, origin: Floats, rays: Floats, *, far: float = FAR, normals: bool = True) -> Hits:
        """What rays (N, 3) from one point (3,) meet first at a frame; nothing beyond `far` lengths of the ray."""
        positions = self.state(frame).positions
        if self._shown != frame:
            self._show(positions)
            self._shown = frame
        count = len(rays)
        shape, distance = np.empty(count, np.int32), np.empty(count)
        normal = np.empty((count, 3)) if normals else np.empty((0, 3))
        if count:
            vectors = np.ascontiguousarray(rays, np.float64).ravel()
            self._mujoco.mj_multiRay(
                *(self._model, self._drawn, origin, vectors, _SEEN, True, -1, shape, distance),
                *(normal.ravel() if normals else None, count, self._mujoco.mjMAXVAL),
            )
        shape[distance > far] = -1
        return Hits(shape=shape, distance=distance, normal=normal)

    def _show(self, positions: Floats) -> None:
        self._drawn.qpos[:] = positions
        self._mujoco.mj_kinematics(self._model, self._drawn)

    def _advance(self, step: float, count: int) -> None:
        self._model.opt.timestep = step
        before = self._data.qpos.copy()
        for _ in range(count):
            self._mujoco.mj_step(self._model, self._data)
            if self.on_step is not None:
                self.on_step(self._model, self._data)
        if self._data.warning.number.any():
            # Forces between bodies that are squeezed can grow without bounds, in about one of 100 scenes: all stops.
            self._mujoco.mj_resetData(self._model, self._data)
            self._data.qpos[:] = before


def _ignore(_text: str) -> None:
    """Take no notice of a warning; `_advance` looks for them itself."""


def camera_at(simulation: Simulation, frame: int, side: int) -> Camera:
    """The camera of a frame."""
    return simulation.scene.path.at(frame / simulation.fps, side)

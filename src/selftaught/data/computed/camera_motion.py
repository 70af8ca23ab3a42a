"""How a camera turned and which way it went from one frame to the next, from optical flow.

Places are (x, y) = (right, down) from the middle of the frame, in focal lengths. A camera that goes by t and turns by w
(radians about the axes right, down and forward) moves what is at depth Z by

    (-t_x + x t_z, -t_y + y t_z) / Z + (x y w_x - (1 + x^2) w_y + y w_z, (1 + y^2) w_x - x y w_y - x w_z),

and only the first part depends on depth (Longuet-Higgins and Prazdny, 1980). For a given direction of t, the flow
across that part is due to w alone, which is then a linear least squares problem (Bruss and Horn, 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DIRECTIONS = 128
"""Directions of the first search, over the half of a sphere."""
_FINER = (0.12, 0.04, 0.013)
"""Radians around the best direction so far in which the next ones are tried."""
_AROUND = 20
_ROUNDS = 6
_NEAR, _NEAR_SHARE = 0.1, 0.05
"""Pixels, and share of the median flow, by which flow may miss what the motion explains."""
_POINTS = 600
"""Places of a frame that are looked at."""


@dataclass(frozen=True, kw_only=True)
class CameraMotion:
    """From one frame to the next.

    Attributes:
        turn: (3,) radians about the axes right, down and forward.
        direction: (3,) of length 1, which way the camera went.
        explained: share of the places whose flow the motion explains, in [0, 1].
    """

    turn: Floats
    direction: Floats
    explained: float


def places_of(height: int, width: int, focal: float) -> Floats:
    """(height * width, 2) places of the middles of the pixels, row by row; `focal` in pixels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x.ravel() + 0.5 - width / 2) / focal, (y.ravel() + 0.5 - height / 2) / focal], 1)


def turning_flow(places: Floats, turn: Floats) -> Floats:
    """Flow (P, 2), in focal lengths, of a camera that only turns."""
    flow: Floats = _turning(places) @ turn
    return flow


def going_flow(places: Floats, direction: Floats) -> Floats:
    """Flow (P, 2), in focal lengths, of a camera that only goes, by the depth of what is seen."""
    return np.asarray(places * direction[2] - direction[:2])


def camera_motion(flow: NDArray[np.float32], focal: float) -> CameraMotion:
    """The motion that explains most of a flow (h, w, 2), which like `focal` is in pixels of itself.

    Directions are tried over half of a sphere, and more closely around the best one. For each of them the turn comes
    from least squares, reweighted by Geman and McClure's function of the miss; it is judged by how many places it
    explains with a positive depth.
    """
    height, width = flow.shape[:2]
    every = max(1, round((height * width / _POINTS) ** 0.5))
    places = places_of(height, width, focal).reshape(height, width, 2)[every // 2 :: every, every // 2 :: every]
    some = flow[every // 2 :: every, every // 2 :: every].reshape(-1, 2).astype(np.float64) / focal
    flat = places.reshape(-1, 2)
    near = _NEAR / focal + _NEAR_SHARE * float(np.median(np.linalg.norm(some, axis=1)))
    directions = _half_sphere(_DIRECTIONS)
    for radius in (*_FINER, 0.0):
        turns, costs, signs = _fit(flat, some, directions, near)
        best = int(np.argmin(costs))
        direction = directions[best] * signs[best]
        if radius:
            directions = _around(direction, radius)
    return CameraMotion(turn=turns[best], direction=direction, explained=1 - float(costs[best]))


def _fit(places: Floats, flow: Floats, directions: Floats, near: float) -> tuple[Floats, Floats, Floats]:
    """For each direction (D, 3) the turn (D, 3), the share of places it leaves unexplained (D,) and its sign (D,)."""
    going = places[None] * directions[:, None, 2:] - directions[:, None, :2]  # (D, P, 2)
    along = going / np.maximum(np.linalg.norm(going, axis=2, keepdims=True), 1e-9)
    turning = _turning(places)  # (P, 2, 3)
    rows = along[:, :, :1] * turning[:, 1] - along[:, :, 1:] * turning[:, 0]  # across, by a turn about each axis
    seen = along[:, :, 0] * flow[:, 1] - along[:, :, 1] * flow[:, 0]
    weights = np.ones_like(seen)
    width = 8 * near
    for _ in range(_ROUNDS):
        weighted = (rows * weights[:, :, None]).transpose(0, 2, 1)
        gram = weighted @ rows + 1e-9 * np.eye(3)
        turns = np.linalg.solve(gram, weighted @ seen[:, :, None])
        miss = seen - (rows @ turns)[:, :, 0]
        width = max(near, width / 2)
        weights = 1 / (1 + (miss / width) ** 2) ** 2
    rest = flow - (turning.reshape(-1, 3) @ turns).reshape(len(directions), -1, 2)
    forward = (along * rest).sum(2)
    signs = np.where(np.clip(forward, -near, near).sum(1) < 0, -1.0, 1.0)
    behind = np.minimum(forward * signs[:, None], 0)
    squared = miss**2 + behind**2
    return turns[:, :, 0], (squared / (squared + near**2)).mean(1), signs


def _turning(places: Floats) -> Floats:
    """(P, 2, 3): flow by a turn of one radian about each axis."""
    x, y = places.T
    return np.stack([np.stack([x * y, -(1 + x**2), y], 1), np.stack([1 + y**2, -x * y, -x], 1)], 1)


@cache
def _half_sphere(count: int) -> Floats:
    """(count, 3) directions spread evenly over the half of a sphere before the camera."""
    ahead = (np.arange(count) + 0.5) / count
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    side = np.sqrt(1 - ahead**2)
    return np.stack([side * np.cos(angle), side * np.sin(angle), ahead], 1)


def _around(direction: Floats, radius: float) -> Floats:
    """(count, 3) directions within `radius` radians of one, which is the first of them."""
    number = np.arange(_AROUND)
    distance, angle = radius * np.sqrt(number / (_AROUND - 1)), number * np.pi * (3 - 5**0.5)
    first = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    first = first / np.linalg.norm(first)
    second = np.cross(direction, first)
    moved = direction + np.outer(distance * np.cos(angle), first) + np.outer(distance * np.sin(angle), second)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))

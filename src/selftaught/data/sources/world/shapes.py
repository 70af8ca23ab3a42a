"""What the bodies of a scene are built of: single shapes, meshes, and several shapes in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Part:
    """One shape of a body, in metres."""

    kind: str
    """"box", "sphere", "capsule", "cylinder", "ellipsoid" or "mesh"."""
    size: tuple[float, ...] = ()
    """As of MuJoCo: half lengths, or radius and half length."""
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """What its z axis is in the body."""
    points: tuple[float, ...] = ()
    """x, y, z of the corners of a mesh, which is their convex hull."""


def draw_body(rng: np.random.Generator, size: float) -> list[Part]:
    """A random body that reaches about `size` metres from its middle."""
    drawn: Callable[[np.random.Generator, float], list[Part]] = _DRAWN[int(rng.choice(len(_DRAWN), p=_SHARES))]
    return drawn(rng, size)


def _box(rng: np.random.Generator, size: float) -> list[Part]:
    return [Part(kind="box", size=_three(size * rng.uniform(0.3, 0.75, 3)))]


def _ball(_rng: np.random.Generator, size: float) -> list[Part]:
    return [Part(kind="sphere", size=(0.75 * size,))]


def _capsule(rng: np.random.Generator, size: float) -> list[Part]:
    radius = size * rng.uniform(0.25, 0.45)
    return [Part(kind="capsule", size=(radius, size - radius))]


def _cylinder(rng: np.random.Generator, size: float) -> list[Part]:
    return [Part(kind="cylinder", size=(size * rng.uniform(0.3, 0.75), size * rng.uniform(0.15, 0.7)))]


def _ellipsoid(rng: np.random.Generator, size: float) -> list[Part]:
    return [Part(kind="ellipsoid", size=_three(size * rng.uniform(0.4, 1.0, 3)))]


def _stone(rng: np.random.Generator, size: float) -> list[Part]:
    corners = rng.standard_normal((int(rng.integers(8, 16)), 3))
    corners *= size * rng.uniform(0.6, 1.0, 3) / np.linalg.norm(corners, axis=1, keepdims=True)
    return [Part(kind="mesh", points=tuple(corners.ravel().tolist()))]


def _dumbbell(rng: np.random.Generator, size: float) -> list[Part]:
    ball, half = size * rng.uniform(0.3, 0.45), 0.6 * size
    ends = [Part(kind="sphere", size=(ball,), place=(0, 0, sign * half)) for sign in (-1.0, 1.0)]
    return [Part(kind="capsule", size=(0.15 * size, half)), *ends]


def _cross(rng: np.random.Generator, size: float) -> list[Part]:
    thick = size * rng.uniform(0.12, 0.25)
    lengths = np.diag([size - thick] * 3) + thick
    return [Part(kind="box", size=_three(lengths[k])) for k in range(int(rng.integers(2, 4)))]


def _hammer(rng: np.random.Generator, size: float) -> list[Part]:
    head = Part(kind="box", size=_three(size * rng.uniform(0.2, 0.4, 3)), place=(0, 0, 0.6 * size))
    return [Part(kind="cylinder", size=(0.12 * size, 0.7 * size)), head]


def stool(rng: np.random.Generator, size: float) -> list[Part]:
    """A seat on four legs, or a table."""
    wide, thick, leg = size * rng.uniform(0.5, 0.7), size * rng.uniform(0.05, 0.12), size * rng.uniform(0.05, 0.1)
    seat = Part(kind="box", size=(wide, wide * rng.uniform(0.6, 1), thick), place=(0, 0, 0.5 * size))
    out = wide - leg, seat.size[1] - leg
    corners = [(x * out[0], y * out[1], 0.0) for x in (-1, 1) for y in (-1, 1)]
    legs = [Part(kind="cylinder", size=(leg, 0.5 * size), place=corner) for corner in corners]
    return [seat, *legs]


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


_DRAWN = (_box, _ball, _capsule, _cylinder, _ellipsoid, _stone, _dumbbell, _cross, _hammer, stool)
_SHARES = np.array([0.2, 0.16, 0.11, 0.12, 0.1, 0.09, 0.05, 0.05, 0.05, 0.07])

"""How the object of one video moves: every factor is drawn by (seed, part, number), and so are its positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.moving.settings import MovingSettings

DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")
SPEEDS = ("slow", "medium", "fast")
RADIUS = 0.2
"""Half the size of the object, as a part of the side."""
_SLOWEST = 1 / 160
"""Part of the side that the slow object moves in a frame; each further speed is twice the one before."""
_AROUND, _FASTER = 10.0, 0.1
"""Degrees around its direction, and part of its speed, by which an object may differ."""
_GRAVITY, _KEPT = 1 / 200, 0.8
"""Of what falls: parts of the side a frame gets faster in a frame, and the share of speed that a bounce leaves."""
_DRIFT = 1 / 128
"""Part of the side that the ground moves in a frame at most."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What one video shows."""

    direction: int
    """Index of `DIRECTIONS`, of the motion in the first frame."""
    speed: int
    """Index of `SPEEDS`."""
    image: int
    """Which of the objects moves."""
    other: int
    """Which other one is the ground, where that is a photograph."""
    velocity: tuple[float, float]
    """Pixels a frame, down and to the right, in the first frame."""
    drift: tuple[float, float]
    """Pixels that the ground moves in a frame."""
    centre: NDArray[np.float64]
    """(T, 2) y and x of the object's centre in each frame, pixels; 0 is the border of the image."""


def draw_factors(settings: MovingSettings, part: str, number: int, count: int) -> Factors:
    """The factors of video `number` of a part, whose objects are `count` images, 2 or more.

    Directions and speeds are equally frequent, each with each other; the object is drawn independently of them.
    """
    rng = generator(settings, part, number, use=0)
    direction, speed = number % len(DIRECTIONS), number // len(DIRECTIONS) % len(SPEEDS)
    angle = math.radians(360 / len(DIRECTIONS) * direction + rng.uniform(-_AROUND, _AROUND))
    pace = settings.side * _SLOWEST * 2**speed * (1 + rng.uniform(-_FASTER, _FASTER))
    velocity = (-pace * math.sin(angle), pace * math.cos(angle))
    image = int(rng.integers(count))
    other = int((image + rng.integers(1, count)) % count)
    turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1) * _DRIFT * settings.side
    moves = settings.camera == "drift"
    return Factors(
        direction=direction,
        speed=speed,
        image=image,
        other=other,
        velocity=velocity,
        drift=(far * math.sin(turn), far * math.cos(turn)) if moves else (0.0, 0.0),
        centre=_centres(settings, velocity, rng),
    )


def generator(settings: MovingSettings, part: str, number: int, *, use: int) -> np.random.Generator:
    """Random numbers of one video; those of another `use` are others."""
    return np.random.default_rng([settings.seed, *part.encode(), number, use])


def _centres(settings: MovingSettings, velocity: tuple[float, float], rng: np.random.Generator) -> NDArray[np.float64]:
    side, frames = float(settings.side), np.arange(settings.frames, dtype=np.float64)
    radius = RADIUS * side
    if settings.motion == "straight":
        # In the middle of the video the object is where it has room on both sides: no border tells where it goes.
        middles = [_middle(side, abs(v) * (settings.frames - 1), radius, rng.uniform()) for v in velocity]
        since = frames - (settings.frames - 1) / 2
        return np.stack([middle + v * since for middle, v in zip(middles, velocity, strict=True)], axis=1)
    starts = rng.uniform(radius, side - radius, 2)
    y, x = (_reflected(start + v * frames, radius, side - radius) for start, v in zip(starts, velocity, strict=True))
    return np.stack([y if settings.motion == "bounce" else _fall(settings, radius, rng), x], axis=1)


def _middle(side: float, travel: float, radius: float, drawn: float) -> float:
    """Where the object is half way, so that all of it stays in view, or as much as there is room for."""
    least = min(side / 2, travel / 2 + radius)
    return least + drawn * (side - 2 * least)


def _reflected(places: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Places on a line, thrown back at both ends of a range."""
    period = 2 * (high - low)
    return low + np.abs((places - low + (high - low)) % period - (high - low))


def _fall(settings: MovingSettings, radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heights of what falls from the upper third, with less speed after each bounce: later is lower."""
    floor = settings.side - radius
    places, y, speed = [], rng.uniform(radius, settings.side / 3 + radius / 2), 0.0
    for _ in range(settings.frames):
        places.append(y)
        speed += _GRAVITY * settings.side
        y += speed
        if y > floor:
            y, speed = floor - _KEPT * (y - floor), -_KEPT * speed
    return np.array(places)

"""Images made by a program, for tests: one coloured shape on a textured ground, with every factor known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.files.splits import choose_split
from selftaught.data.sources.base import Entry, Source

SHAPES = ("disc", "square", "triangle", "cross", "bar")
_SMOOTH = 8
"""Shapes are drawn at this many times the size and averaged, so that edges do not show the pixel grid."""


@dataclass(frozen=True)
class Factors:
    """What image `index` shows. Angles in degrees, counter-clockwise; lengths as parts of the side."""

    shape: int
    angle: float
    centre: tuple[float, float]
    radius: float
    colour: tuple[int, int, int]


@final
class Synthetic(Source):
    """One split of N images; image i depends on its number alone, so any part of any length agrees with any other.

    The label is the shape. Orientation is free but leans to upright (+-30 degrees) and light comes from above, as in
    photographs, so that a rotation by 90 degrees is visible.
    """

    def __init__(self, numbers: list[int], *, side: int) -> None:
        self.entries = [Entry(f"synthetic/{n:08d}", factors(n).shape) for n in numbers]
        self.classes = SHAPES
        self.provides = frozenset({"image", "label"})
        self.fingerprint = digest(["synthetic 1", str(side), *map(str, numbers)])
        self._numbers, self._side = numbers, side

    def read(self, i: int) -> NDArray[np.uint8]:
        return draw(self._numbers[i], side=self._side)


def open_synthetic(data: str, *, split: str, seed: int, held_out: float) -> Synthetic:
    """One split of `synthetic`, or `synthetic:N=2000,side=48` (defaults N=1000, side=32 pixels)."""
    settings = {"N": 1000, "side": 32}
    for part in filter(None, data.partition(":")[2].split(",")):
        name, _, value = part.partition("=")
        if name not in settings or not value.isdecimal() or not 8 <= int(value) <= 1_000_000:
            raise ValueError(f"{data!r}: settings are N=count and side=pixels, both at least 8, got {part!r}")
        settings[name] = int(value)
    numbers = list(range(settings["N"]))
    chosen = choose_split([str(n) for n in numbers], None, split=split, seed=seed, held_out=held_out)
    return Synthetic(chosen, side=settings["side"])


def factors(number: int) -> Factors:
    """The factors of one image."""
    rng = np.random.default_rng([number, 1])
    hue = rng.integers(0, 180)
    bright = cv2.cvtColor(np.array([[[hue, 200, 230]]], dtype=np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return Factors(
        shape=int(rng.integers(len(SHAPES))),
        angle=float(rng.uniform(-30, 30)),
        centre=(float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.6))),
        radius=float(rng.uniform(0.22, 0.34)),
        colour=(int(bright[0]), int(bright[1]), int(bright[2])),
    )


def draw(number: int, *, side: int) -> NDArray[np.uint8]:
    """Image `number`, (side, side, 3) uint8."""
    known, rng = factors(number), np.random.default_rng([number, 2])
    ground = _ground(rng, side)
    mask = np.zeros((side * _SMOOTH, side * _SMOOTH), dtype=np.uint8)
    for corners in _outline(known, side * _SMOOTH):
        cv2.fillPoly(mask, [corners], 255)
    cover = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)[:, :, None] / 255.0
    shade = np.linspace(1.0, 0.6, side)[:, None, None]  # light from above
    pixels = ground * (1 - cover) + np.array(known.colour) * shade * cover
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _ground(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Grey noise at three scales, brighter towards the top."""
    texture = np.zeros((side, side))
    for cells, weight in ((4, 30.0), (8, 18.0), (16, 10.0)):
        noise = rng.standard_normal((cells, cells))
        texture += weight * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    sky = np.linspace(40.0, -40.0, side)[:, None]
    return np.asarray((110 + sky + texture)[:, :, None] + rng.uniform(-15, 15, 3))


def _outline(known: Factors, pixels: int) -> list[NDArray[np.int32]]:
    """Polygons of the shape, (corners, 2) each."""
    polygons: dict[str, list[list[tuple[float, float]]]] = {
        "disc": [[(math.cos(t / 24 * math.pi), math.sin(t / 24 * math.pi)) for t in range(48)]],
        "square": [[(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]],
        "triangle": [[(0.0, -1.0), (0.9, 0.8), (-0.9, 0.8)]],
        "cross": [[(-0.3, -1), (0.3, -1), (0.3, 1), (-0.3, 1)], [(-0.8, -0.6), (0.8, -0.6), (0.8, 0.0), (-0.8, 0.0)]],
        "bar": [[(-0.3, -1.0), (0.3, -1.0), (0.3, 1.0), (-0.3, 1.0)]],
    }
    turn = np.deg2rad(-known.angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([known.centre[1], known.centre[0]])
    return [
        np.round((np.array(corners) @ matrix.T * known.radius + centre) * pixels).astype(np.int32)
        for corners in polygons[SHAPES[known.shape]]
    ]

"""One moving sequence, drawn frame by frame at sub-pixel positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.sources.moving.motion import RADIUS, Factors, generator
from selftaught.data.sources.moving.objects import Floats, Objects, Photographs
from selftaught.data.sources.moving.settings import DIGITS, MovingSettings

FPS = 25.0
_SOFT = 0.7
"""Pixels of blur, so that an object is as sharp between two pixels as on one: sharpness must not tell the speed."""


@final
class MovingVideo(FrameSequence):
    """Video `number` of a part; nothing of it is kept in memory."""

    def __init__(self, settings: MovingSettings, part: str, number: int, factors: Factors, objects: Objects) -> None:
        self.fps, self.count = FPS, settings.frames
        self.factors = factors
        self._settings, self._part, self._number, self._objects = settings, part, number, objects

    @property
    def shape(self) -> tuple[int, int]:
        """As `FrameSequence` says."""
        return self._settings.side, self._settings.side

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        """As `FrameSequence` says; a broken photograph breaks all frames."""
        try:
            ground, thing = self._ground(), self._thing()
        except (OSError, ValueError) as broken:
            yield from (broken for _ in numbers)
            return
        for number in numbers:
            y, x = self.factors.centre[number] - thing.shape[0] / 2
            drawn = _moved(thing, y, x, self._settings.side)
            behind = self._behind(ground, number)
            yield np.rint((behind * (1 - drawn[:, :, 3:]) + drawn[:, :, :3]) * 255).clip(0, 255).astype(np.uint8)

    def _thing(self) -> Floats:
        """(size, size, 4) as `Objects.cut` gives it; digits are coloured where the ground is not black."""
        settings = self._settings
        thing = self._objects.cut(self.factors.image, round(2 * RADIUS * settings.side))
        if settings.data == DIGITS and settings.ground != "black":
            rng = generator(settings, self._part, self._number, use=1)
            bright = np.array([[[rng.integers(180), 160, 255]]], np.uint8)
            thing[:, :, :3] *= cv2.cvtColor(bright, cv2.COLOR_HSV2RGB)[0, 0] / np.float32(255)
        edged = np.pad(thing, ((2, 2), (2, 2), (0, 0)))
        return np.asarray(cv2.GaussianBlur(edged, (0, 0), _SOFT), np.float32)

    def _ground(self) -> Floats:
        """(size, size, 3), larger than the frame by what it drifts on each side."""
        settings = self._settings
        size = settings.side + 2 * self._margin
        if settings.ground == "black":
            return np.zeros((size, size, 3), np.float32)
        if settings.ground == "photo":
            assert isinstance(self._objects, Photographs)
            return self._objects.photograph(self.factors.other, size)
        return _texture(generator(settings, self._part, self._number, use=2), size)

    def _behind(self, ground: Floats, number: int) -> Floats:
        if not self._margin:
            return ground
        y, x = (step * (number - (self.count - 1) / 2) - self._margin for step in self.factors.drift)
        return _moved(ground, y, x, self._settings.side)

    @property
    def _margin(self) -> int:
        """Pixels that the ground moves to either side, and one that is cut from its border."""
        far = max(map(abs, self.factors.drift)) * (self.count - 1) / 2
        return int(np.ceil(far)) + 1 if far else 0


def _moved(pixels: Floats, y: float, x: float, side: int) -> Floats:
    """Pixels whose upper left corner is at (y, x) of a black image (side, side, C)."""
    shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return np.asarray(cv2.warpAffine(pixels, shift, (side, side), flags=cv2.INTER_LINEAR), np.float32)


def _texture(rng: np.random.Generator, size: int) -> Floats:
    """Dim noise at three scales, (size, size, 3)."""
    drawn = np.full((size, size, 3), 0.35, np.float32)
    for cells, weight in ((4, 0.12), (8, 0.08), (16, 0.05)):
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        noise = 0.7 * noise.mean(2, keepdims=True) + 0.3 * noise
        drawn += weight * cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(drawn.clip(0, 1), np.float32)

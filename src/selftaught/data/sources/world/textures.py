"""Textures of the world's surfaces: drawn by a program or the user's photos, sampled at the size they are seen in.

All textures stand in one image, each at several sizes (a pyramid), so that what is far away does not flicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SIZE, LEVELS = 128, 6
"""Pixels of a texture, and how often it is halved (and once not)."""
DRAWN = 48
"""Textures that a program draws."""


class Textures:
    """Square textures (T, SIZE, SIZE, 3) in [0, 1], linear light, which repeat without a seam."""

    def __init__(self, tiles: Sequence[Floats]) -> None:
        self._count = len(tiles)
        columns = int(np.ceil(np.sqrt(len(tiles))))
        rows = -(-len(tiles) // columns)
        wide = columns * (SIZE + 1)
        bands, self._row, top = [], [], 0
        for level in range(LEVELS):
            size = SIZE >> level
            band = np.zeros((rows * (size + 1), wide, 3), np.float32)
            for number, tile in enumerate(tiles):
                y, x = (place * (size + 1) for place in divmod(number, columns))
                small = cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA) if level else tile
                # The first row and column once more, for what is between the last and the first.
                band[y : y + size + 1, x : x + size + 1] = np.pad(small, ((0, 1), (0, 1), (0, 0)), mode="wrap")
            bands.append(band)
            self._row.append(top)
            top += len(band)
        self._columns, self._wide = columns, wide
        self._pixels = np.ascontiguousarray(np.concatenate(bands)).reshape(-1, 3)

    def __len__(self) -> int:
        return self._count

    def sample(self, texture: NDArray[np.intp], places: Floats, footprint: Floats) -> Floats:
        """(N, 3) of textures (N,) at places (N, 2), of which a texture is one by one, seen `footprint` (N,) wide."""
        level = np.log2(np.maximum(footprint * SIZE, 1.0)).clip(0, LEVELS - 1.001)
        whole = level.astype(np.intp)
        share = (level - whole)[:, None].astype(np.float32)
        places = places - np.floor(places)
        found = self._at(texture, places, whole)
        blended = np.flatnonzero(share[:, 0] > 0)
        if len(blended):
            further = self._at(texture[blended], places[blended], whole[blended] + 1)
            found[blended] += share[blended] * (further - found[blended])
        return found

    def _at(self, texture: NDArray[np.intp], places: Floats, level: NDArray[np.intp]) -> Floats:
        size = SIZE >> level
        at = places * size[:, None].astype(np.float32)
        first = np.minimum(at.astype(np.intp), size[:, None] - 1)
        right, down = (at[:, k : k + 1] - first[:, k : k + 1] for k in (0, 1))
        y, x = np.divmod(texture, self._columns)
        top = np.asarray(self._row, np.intp)[level] + y * (size + 1) + first[:, 1]
        index = top * self._wide + x * (size + 1) + first[:, 0]
        take = self._pixels.take
        upper = take(index, 0)
        upper += right.astype(np.float32) * (take(index + 1, 0) - upper)
        lower = take(index + self._wide, 0)
        lower += right.astype(np.float32) * (take(index + self._wide + 1, 0) - lower)
        return np.asarray(upper + down.astype(np.float32) * (lower - upper), np.float32)


@cache
def drawn_textures(patterns: tuple[str, ...] = ()) -> Textures:
    """The textures that a program draws, always the same ones; behind them those of `patterns`."""
    rng = np.random.default_rng(0)
    kinds = (_noise, _checks, _stripes, _wood, _spots, _bricks, _marble, _grain)
    return Textures([*(_coloured(kinds[i % len(kinds)](rng), rng) for i in range(DRAWN)), *_patterns(patterns)])


def photo_textures(photos: Sequence[NDArray[np.uint8]], patterns: Sequence[str] = ()) -> Textures:
    """Photos (H, W, 3) as textures: mirrored at their edges, so that they repeat without a seam; then `patterns`."""
    tiles = []
    for photo in photos:
        short, half = min(photo.shape[:2]), SIZE // 2
        top, left = (photo.shape[0] - short) // 2, (photo.shape[1] - short) // 2
        small = cv2.resize(photo[top : top + short, left : left + short], (half, half), interpolation=cv2.INTER_AREA)
        linear = (small.astype(np.float32) / 255) ** 2.2
        wide = np.concatenate([linear, linear[:, ::-1]], 1)
        tiles.append(np.ascontiguousarray(np.concatenate([wide, wide[::-1]]), np.float32))
    return Textures([*tiles, *_patterns(patterns)])


def _patterns(patterns: Sequence[str]) -> list[Floats]:
    """Textures in greys up to white, always the same ones, for surfaces whose colour says what they are made of.

    Patterns: "wood", "brushed" (fine lines), "clear" (few soft streaks), "plain" or "grain".
    """
    tiles = []
    for pattern in patterns:
        rng = np.random.default_rng([0, *pattern.encode()])
        if pattern == "wood":
            values = 0.45 + 0.55 * _wood(rng)
        elif pattern == "brushed":
            fine = cv2.blur(rng.random((SIZE, SIZE)).astype(np.float32), (31, 1), borderType=cv2.BORDER_REFLECT)
            values = 0.6 + 0.4 * _levelled(fine.astype(np.float32))
        elif pattern == "clear":
            values = 0.8 + 0.2 * _marble(rng)
        elif pattern == "grain":
            values = 0.5 + 0.5 * _grain(rng)
        else:
            values = np.ones((SIZE, SIZE), np.float32)
        tiles.append(np.repeat(values.astype(np.float32)[:, :, None], 3, axis=2))
    return tiles


def _coloured(values: Floats, rng: np.random.Generator) -> Floats:
    """Values (SIZE, SIZE) in [0, 1] as a blend of two colours."""
    low, high = rng.uniform(0.02, 0.35), rng.uniform(0.45, 1.0)
    hues = rng.random() + np.array([0.0, rng.choice([0.0, 0.05, 0.15, 0.5])])
    one, other = (
        hsv_to_rgb(hue % 1, rng.uniform(0, 0.85), value) for hue, value in zip(hues, (low, high), strict=True)
    )
    first, second = np.array(one), np.array(other)
    return np.asarray((first + (second - first) * values[:, :, None]).clip(0.01, 1), np.float32)


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) / np.float32(SIZE)
    return x, y


def _noise(rng: np.random.Generator, first: int = 4, octaves: int = 4, fall: float = 0.55) -> Floats:
    """Smooth noise of several scales that repeats, in [0, 1]."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        cells = first << octave
        coarse = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
        scale = SIZE // cells
        fine = cv2.resize(coarse, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += fall**octave * fine[2 * scale : -2 * scale, 2 * scale : -2 * scale]
    return _levelled(total)


def _levelled(values: Floats) -> Floats:
    low, high = np.percentile(values, (1, 99))
    return np.asarray(((values - low) / (high - low)).clip(0, 1), np.float32)


def _checks(rng: np.random.Generator) -> Floats:
    x, y = _grid()
    count = int(rng.integers(1, 4))
    return np.asarray((np.floor(2 * count * x) + np.floor(2 * count * y)) % 2 * 0.8 + 0.2 * _noise(rng), np.float32)


def _stripes(rng: np.random.Generator) -> Floats:
    x, y = _grid()
    across, along = int(rng.integers(1, 6)), int(rng.integers(0, 3))
    wave = np.sin(2 * np.pi * (across * x + along * y) + 0.5 * _noise(rng))
    return np.asarray((wave * rng.uniform(1, 6)).clip(-1, 1) / 2 + 0.5, np.float32)


def _wood(rng: np.random.Generator) -> Floats:
    _, y = _grid()
    fine = cv2.resize(_noise(rng, 8, 2), (SIZE, SIZE)).mean(1, keepdims=True)
    return _levelled(np.sin(2 * np.pi * (4 * y + 0.6 * _noise(rng, 2, 2))) + 2 * fine + 0.5 * _noise(rng, 16, 2))


def _spots(rng: np.random.Generator) -> Floats:
    x, y = _grid()
    spots = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(int(rng.integers(5, 25))):
        dx, dy = (np.abs(axis - rng.random()) for axis in (x, y))
        distance = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
        spots = np.maximum(spots, (1 + (rng.uniform(0.03, 0.12) - distance) * 60).clip(0, 1))
    return np.asarray(0.85 * spots + 0.15 * _noise(rng), np.float32)


def _bricks(rng: np.random.Generator) -> Floats:
    x, y = _grid()
    rows, columns = 2 * int(rng.integers(2, 5)), int(rng.integers(2, 5))
    across = (x * columns + 0.5 * (np.floor(y * rows) % 2)) % 1
    down = (y * rows) % 1
    joint = np.minimum(np.minimum(across, 1 - across) / columns, np.minimum(down, 1 - down) / rows)
    return np.asarray((joint * 120).clip(0, 1) * (0.6 + 0.4 * _noise(rng, 8)), np.float32)


def _marble(rng: np.random.Generator) -> Floats:
    x, y = _grid()
    return _levelled(np.sin(2 * np.pi * (x + y + 1.5 * _noise(rng, 2, 4))))


def _grain(rng: np.random.Generator) -> Floats:
    return _levelled(_noise(rng, 16, 3, 0.8) + 0.5 * _noise(rng, 2, 2))

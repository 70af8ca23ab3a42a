"""Tiles of large images: squares side by side, or overlapping, that cover an image to its edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import final

from selftaught.data.decode.containers.base import Box, ImageFile
from selftaught.data.decode.image import MIN_SIDE
from selftaught.data.decode.values import Values


@final
class TiledFile(ImageFile):
    """The tiles of the images of another file, named by the column and row of their upper left pixel.

    An image that is no larger than a tile is left whole.

    Args:
        whole: the file.
        side: of a tile, pixels.
        overlap: share of a tile's side that it has in common with the next one, in [0, 1).
    """

    def __init__(self, whole: ImageFile, *, side: int, overlap: float) -> None:
        self._whole = whole
        self.group, self.is_windowed = whole.group, whole.is_windowed
        self._tiles: list[tuple[int, Box | None]] = []
        names: list[str] = []
        for number, name in enumerate(whole.names):
            height, width = whole.size(number)
            if max(height, width) <= side or min(height, width) < MIN_SIDE:
                self._tiles.append((number, None))
                names.append(name)
                continue
            for box in boxes(height, width, side=side, overlap=overlap):
                self._tiles.append((number, box))
                names.append(f"{name}#{box.left},{box.top}".lstrip("#"))
        self.names = tuple(names)
        self.labels = tuple(whole.labels[number] for number, _ in self._tiles) if whole.labels else ()
        self.splits = tuple(whole.splits[number] for number, _ in self._tiles) if whole.splits else ()

    @property
    def held_bytes(self) -> int:
        return self._whole.held_bytes

    def size(self, number: int) -> tuple[int, int]:
        image, box = self._tiles[number]
        return self._whole.size(image) if box is None else (box.height, box.width)

    def read(self, number: int, box: Box | None = None) -> Values:
        image, tile = self._tiles[number]
        if tile is None or box is not None:
            return self._whole.read(image, box)
        return replace(self._whole.read(image, tile), is_tile=True)


def boxes(height: int, width: int, *, side: int, overlap: float) -> Iterator[Box]:
    """The tiles of an image, row by row; the last of a row and of a column end at the edge."""
    for top in starts(height, side, overlap):
        for left in starts(width, side, overlap):
            yield Box(top, left, min(side, height), min(side, width))


def starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles along one side of an image begin."""
    step = max(1, round(side * (1 - overlap)))
    last = max(0, length - side)
    return [*range(0, last, step), last]

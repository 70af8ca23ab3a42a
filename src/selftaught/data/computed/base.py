"""Programs that compute a map of every frame once."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[Any]
Size = TypeVar("Size", int, NDArray[np.int64])


@dataclass(frozen=True, kw_only=True)
class Program(ABC):
    """Computes a map of every frame of a video, or of an image.

    A program is a frozen, keyword-only dataclass of plain values; its fields are its settings. What it computes
    is kept in the cache under the key of the frames' store, its name, version and settings.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raise it when the program computes something else from the same frames and settings."""
    reads: ClassVar[Literal[1, 2]]
    """Frames that one map depends on: its own, or its own and the next one of the video; see `shot`."""
    shot: ClassVar[int] = 0
    """Largest number of frames that are run together, all of one shot, where a map depends on all of them; else 0.

    Longer shots are split into parts of about equal length. `reads` is then 1: there is a map for each frame.
    """
    kind: ClassVar[Literal["mask", "depth", "flow"]]
    """How the maps are resampled and drawn: class numbers, one value, or (x, y) in pixels of the stored frames."""
    dtype: ClassVar[type[np.uint8 | np.int8 | np.float16]]
    """What is kept. int8 keeps real values with one scale a frame: the error is at most 1/254 of the largest value."""
    channels: ClassVar[int]
    step: ClassVar[int] = 1
    """Pixels of a frame, along each side, to one of its map."""

    @abstractmethod
    def run(self, frames: NDArray[np.uint8]) -> Maps:
        """The maps of consecutive frames of one video; called from several threads.

        Args:
            frames: (T, H, W, 3) RGB, T at least `reads`; with `shot` none of them is of another shot.

        Returns:
            (T - reads + 1, ceil(H / step), ceil(W / step), channels): of `dtype`, or float32 where that is int8.
        """

    def map_size(self, height: Size, width: Size) -> tuple[Size, Size]:
        """Height and width of the map of a frame, or of those of many (V,)."""
        return -(-height // self.step), -(-width // self.step)

    def settings(self) -> str:
        """All settings as one text."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return repr(sorted(values.items()))

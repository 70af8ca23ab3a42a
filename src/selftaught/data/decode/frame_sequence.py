"""Videos that are no files: frames that a program draws, or the images of a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray


class FrameSequence(ABC):
    """A video whose frames are equally far apart in time and can be read in any order.

    Attributes:
        fps: frames a second.
        count: frames, at least 1; some of them may turn out to be broken.
        is_drawn: whether a program draws them, so that no bars, cuts and black ends are looked for.
        missing: numbers that have no frame, as a folder has no image of that number.
        track: gives a file with its sound, as a file that can be read at any place or a path; None without sound.
    """

    is_drawn: bool = False
    fps: float
    count: int
    missing: frozenset[int] = frozenset()
    track: Callable[[], IO[bytes] | str] | None = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Height and width of every frame, pixels; `Unreadable` where there is none."""

    @abstractmethod
    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        """The frames of these numbers in this order, (H, W, 3) RGB, or why one cannot be read.

        May be called from several threads.
        """

    def at(self, seconds: Iterable[float]) -> Iterator[NDArray[np.uint8] | Exception]:
        """The frames that are shown from these seconds on."""
        return self.frames([round(second * self.fps) for second in seconds])

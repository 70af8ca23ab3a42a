"""A program whose maps are the frames themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program

COPY = __name__
"""The program by its module, as `Computed` takes it."""


@dataclass(frozen=True, kw_only=True)
class Copy(Program):
    """The frames themselves, so that a map must equal what the samples read."""

    name: ClassVar[str] = "copy"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "depth"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 3
    ran: ClassVar[list[int]] = []
    """Frames of every call."""

    plus: int = 0
    """Added to each value."""

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.ran.append(len(frames))
        return frames + np.uint8(self.plus)

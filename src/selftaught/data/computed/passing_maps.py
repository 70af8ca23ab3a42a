"""Maps of frames that no store holds: computed from what was rendered for one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Maps, Program
from selftaught.data.computed.frame_maps import LiveMaps, computing_threads
from selftaught.data.store.stored_frames import StoredFrames


class PassingMaps:
    """A program that is run on a few frames of many videos of one size, with the values of packed ones.

    Attributes:
        reads: as of the program.
    """

    def __init__(self, program: Program, *, data: str, workers: int) -> None:
        """`data` is the name by which the videos were opened.

        Raises:
            ValueError: where the program reads whole shots.
        """
        if program.shot:
            raise ValueError(
                f"{program.name} is computed from whole shots, but of those of {data} a few frames are rendered while "
                "training; give a number of scenes, such as world:scenes=500, or choose another program"
            )
        self.reads = program.reads
        self._program, self._data, self._pool = program, data, computing_threads(workers)

    def read(
        self,
        images: Sequence[Mapping[int, NDArray[np.uint8]]],
        frames: NDArray[np.int64],
        places: NDArray[np.float64],
        *,
        length: int,
    ) -> Maps:
        """The maps (N, T, side, side, channels) of frames, as `FrameMaps.read` gives them.

        Args:
            images: (side, side, 3) of each video by the number of the frame; those of `frames` are there and as many
                after them as the program reads, or before them at the end of the video.
            frames: (N, T) numbers of frames in each video.
            places: (N, 2) or more, as of the samples.
            length: frames of each video.
        """
        count, side = len(images), len(next(iter(images[0].values())))
        number = np.arange(count * length)
        stored = StoredFrames(
            folder=Path(),
            data=self._data,
            frames=np.full(count, length),
            times=np.zeros(count * length),
            begin=np.zeros(count),
            box=np.zeros((count, 4), np.int64),
            last=number % length == length - 1,
            height=np.full(count, side),
            width=np.full(count, side),
            read=lambda item: iter(images[item].values()),
            some=lambda item, numbers: {n: images[item][n] for n in numbers},
        )
        maps = LiveMaps(self._program, stored, np.arange(count), side, "", self._pool)
        return maps.read(np.arange(count), frames, places)

"""A video whose frames are the images of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.encoded_video import Track
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_tree import FileTree, Unreadable
from selftaught.data.files.frame_folders import FrameFolder


@final
class FrameVideo(FrameSequence):
    """Frames of the size of the first one that can be read; others are scaled and cut to it."""

    def __init__(self, tree: FileTree, folder: FrameFolder, *, fps: float, track: Track | None = None) -> None:
        self.fps, self.count, self.track = fps, folder.count, track
        self.missing = frozenset(range(folder.count)) - folder.frames.keys()
        self._tree, self._frames = tree, folder.frames

    @cached_property
    def shape(self) -> tuple[int, int]:
        """As `FrameSequence` says."""
        why: Exception = Unreadable("no frame")
        for number in self._frames:
            try:
                height, width = self._decoded(number).shape[:2]
                return height, width
            except (OSError, ValueError) as broken:
                why = broken
        raise Unreadable(f"none of its {len(self._frames)} frames can be read; the last: {why}")

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        """As `FrameSequence` says; a missing number is a frame that cannot be read."""
        for number in numbers:
            try:
                yield self._fitted(self._decoded(number))
            except (OSError, ValueError) as broken:
                yield broken

    def _decoded(self, number: int) -> NDArray[np.uint8]:
        if number not in self._frames:
            raise Unreadable("missing")
        return decode_image(self._tree.read(self._frames[number]))

    def _fitted(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.shape
        if frame.shape[:2] == (height, width):
            return frame
        scale = max(height / frame.shape[0], width / frame.shape[1])
        size = max(width, round(frame.shape[1] * scale)), max(height, round(frame.shape[0] * scale))
        scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)

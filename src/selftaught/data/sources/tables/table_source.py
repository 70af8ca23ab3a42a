"""What Parquet and Arrow files have in common as sources: cells of one column, each an encoded image or a video."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from selftaught.data.decode.containers.only_image import only_image
from selftaught.data.decode.containers.opening import Reading
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.values import Values
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.tables.row_columns import encoded, video_of


class TableSource(Source):
    """One split of some files of rows; entry `i` stands at `places[i]`, the number of its file and its row there."""

    def __init__(
        self, entries: list[Entry], places: list[tuple[int, int]], reading: Reading, *, is_video: bool, fingerprint: str
    ) -> None:
        self.entries = entries
        self.classes = None
        self.is_video = is_video
        self.provides = frozenset({"video", "image", "audio"} if is_video else {"image"})
        self.fingerprint = fingerprint
        self.reads_channels = not is_video
        self._places, self._reading = places, reading

    def read(self, i: int) -> bytes | Values | EncodedVideo:
        folder = self._path(self._places[i][0]).parent
        if self.is_video:
            return EncodedVideo(lambda: video_of(self._value(i), folder))
        return only_image(encoded(self._value(i), folder), self._reading)

    @abstractmethod
    def _path(self, number: int) -> Path:
        """Of a file by its number; paths in cells are relative to its folder."""

    @abstractmethod
    def _value(self, i: int) -> Any:
        """The cell of an entry: {bytes, path}, bytes, or of a video perhaps the text of a path."""

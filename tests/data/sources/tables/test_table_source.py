"""Sources of rows: images as bytes or as numbers, videos that are opened when asked for, paths beside the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.values import Values
from selftaught.data.sources.base import Entry
from selftaught.data.sources.tables.table_source import TableSource


class Rows(TableSource):
    """Cells in a list."""

    def __init__(self, folder: Path, cells: list[Any], reading: Reading, *, is_video: bool = False) -> None:
        entries = [Entry(str(i)) for i in range(len(cells))]
        places = [(0, i) for i in range(len(cells))]
        super().__init__(entries, places, reading, is_video=is_video, fingerprint="f")
        self._folder, self._cells = folder, cells

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.parquet"

    def _value(self, i: int) -> Any:
        return self._cells[i]


def test_images_are_bytes_or_numbers_of_the_asked_channels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 4000, (20, 30, 5), dtype=np.uint16)
    file = io.BytesIO()
    np.save(file, array)
    usual = Rows(tmp_path, [{"bytes": b"\xff\xd8 a photo", "path": None}], USUAL_READING)
    assert usual.read(0) == b"\xff\xd8 a photo"
    assert usual.provides == {"image"}
    found = Rows(tmp_path, [file.getvalue()], Reading(channels=5)).read(0)
    assert isinstance(found, Values)
    np.testing.assert_array_equal(found.pixels, array)


def test_videos_heed_no_channels_and_are_found_beside_the_file(tmp_path: Path) -> None:
    source = Rows(tmp_path, ["a.mp4"], USUAL_READING, is_video=True)
    (tmp_path / "a.mp4").write_bytes(b"a video")
    assert source.provides == {"video", "image", "audio"}
    assert not source.reads_channels
    video = source.read(0)
    assert isinstance(video, EncodedVideo)
    assert Path(str(video.open())).read_bytes() == b"a video"

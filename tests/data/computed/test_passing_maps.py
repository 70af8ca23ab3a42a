"""Maps of a few frames of many videos are those of `LiveMaps`, and whole shots are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.computed.frame_maps import LiveMaps
from selftaught.data.computed.passing_maps import PassingMaps
from selftaught.data.computed.video_pca import VideoPca
from tests.data.computed.test_compute import Difference, squares, store


def test_maps_are_those_of_a_store(tmp_path: Path) -> None:
    videos = squares(5, 8, 8), squares(9, 8, 8)[4:]
    frames, places = np.array([[0, 4], [3, 1]]), np.zeros((2, 3))
    expected = LiveMaps(Difference(), store(tmp_path, *videos), np.arange(2), 8, "", 1).read(
        np.arange(2), frames, places
    )
    wanted = {0, 1, 3, 4}, {1, 2, 3, 4}  # the map of the last frame is that of the one before
    images = [{n: video[n] for n in own} for video, own in zip(videos, wanted, strict=True)]
    passing = PassingMaps(Difference(), data="scenes", workers=1)
    assert passing.reads == 2
    assert np.array_equal(passing.read(images, frames, places, length=5), expected)
    assert expected.any()


def test_programs_of_whole_shots_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^video_pca is computed from whole shots, but of those of world a few"):
        PassingMaps(VideoPca(), data="world", workers=1)

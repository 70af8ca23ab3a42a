"""Maps that are computed each time they are read have the values of those that are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.base import Program
from selftaught.data.computed.frame_maps import LiveMaps
from selftaught.data.computed.maps import open_computed
from selftaught.data.computed.moving_mask import MovingMask
from selftaught.data.computed.optical_flow import OpticalFlow
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Computed
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.open import open_samples
from tests.data.computed.moving import shifting, with_square
from tests.data.computed.test_compute import Difference, squares, store

CLIP = Clip(frames=3, stride=2)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def videos(tmp_path: Path, write_video: Any) -> Path:
    for name, height, width in (("a", 32, 48), ("b", 66, 42)):
        frames, _ = with_square(shifting(10, 1.0, 0.5, height=height, width=width), 2, 1, side=16, top=4, left=4)
        write_video(tmp_path / "videos" / f"{name}.mp4", frames)
    return tmp_path / "videos"


@pytest.mark.parametrize("limit", [1.0, 0.0], ids=["packed frames", "decoded frames"])
@pytest.mark.parametrize("program", [OpticalFlow(preset="fast"), MovingMask()], ids=["flow", "mask"])
def test_live_maps_are_the_kept_ones(videos: Path, program: Program, limit: float) -> None:
    source = open_video_folder(videos, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    samples = open_samples(source, side=32, sampling=Sampling(inputs={"video": CLIP}), cache_limit_gb=limit, workers=2)
    rows, places = np.array([0, 1, 1]), np.random.default_rng(0).random((3, 2))
    frames = np.array([[0, 1, 2], [9, 8, 3], [4, 4, 9]])
    live = open_computed(program, samples, cache_limit_gb=1e-9, workers=2)
    assert isinstance(live, LiveMaps)
    read = live.read(rows, frames, places)
    kept = open_computed(program, samples, cache_limit_gb=1.0, workers=2).read(rows, frames, places)
    assert read.dtype == kept.dtype
    assert np.array_equal(read, kept)
    assert len(np.unique(kept)) > 1
    with pytest.raises(IndexError, match="of a video of 10 frames"):
        live.read(rows, frames + 1, places)


def test_a_frame_that_is_gone_has_an_empty_map(tmp_path: Path) -> None:
    stored = store(tmp_path, squares(6, 8, 8), missing=3)
    maps = LiveMaps(Difference(), stored, np.array([0]), 8, "key", 1)
    read = maps.read(np.array([0]), np.array([[0, 1, 2, 5]]), np.zeros((1, 2)))
    assert [bool(one.any()) for one in read[0]] == [True, True, False, False]


def test_no_map_reaches_beyond_a_cut(tmp_path: Path) -> None:
    stored = store(tmp_path, squares(8, 8, 8))
    last = np.isin(np.arange(8), (0, 4, 7))  # the first piece is a single frame
    maps = LiveMaps(Difference(), replace(stored, last=last), np.array([0]), 8, "key", 1)
    read = maps.read(np.array([0]), np.arange(8)[None], np.zeros((1, 2)))[0, :, 0, 0, 0]
    grown = [2 * k + 1 for k in range(7)]
    assert read.tolist() == pytest.approx([grown[k] for k in (0, 1, 2, 3, 3, 5, 6, 6)], rel=0.01)


def test_a_video_of_one_frame_has_an_empty_map(tmp_path: Path) -> None:
    maps = LiveMaps(Difference(), store(tmp_path, squares(1, 8, 8)), np.array([0]), 8, "key", 1)
    assert not maps.read(np.array([0]), np.array([[0]]), np.zeros((1, 2))).any()


def test_a_run_says_that_maps_are_computed_as_they_are_read(videos: Path) -> None:
    source = open_video_folder(videos, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    sampling = Sampling(
        inputs={"clip": CLIP, "flow": Computed("optical_flow", like="clip", settings={"preset": "fast"})}
    )

    def opened(limit: float) -> Any:
        reading = DataSettings(path=str(videos), cache_limit=limit, workers=1, store_size=32)
        return pack_with_maps(source, reading, sampling, size=32, title="packing", is_shown=False)

    live = opened(1e-5)
    assert [note.partition(" would need ")[0] for note in live.notes] == [
        f"the frames of {videos}",
        f"the optical_flow of {videos}",
    ]
    rows, draws = np.array([0, 1]), np.full((2, sampling.draws), 0.4)
    read = live.read(rows, draws)["flow"]
    assert read.shape == (2, 3, 32, 32, 2)
    assert read.any()
    assert opened(1.0).notes == ()

"""Maps are computed once, kept beside the frames' store, read in the samples' windows and removed with the store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.base import Program
from selftaught.data.computed.frame_maps import FrameMaps
from selftaught.data.computed.maps import open_computed, pack_maps
from selftaught.data.computed.optical_flow import OpticalFlow
from selftaught.data.computed.video_pca import VideoPca
from selftaught.data.inputs import Clip
from selftaught.data.sources.open import open_source
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.cache import list_stores
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from tests.data.computed.copied import Copy
from tests.data.computed.moving import shifting


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def videos(tmp_path: Path, write_video: Any) -> Path:
    for name, height, width in (("a", 32, 48), ("b", 64, 40), ("c", 32, 32)):
        write_video(tmp_path / "videos" / f"{name}.mp4", shifting(12, 1.0, 0.5, height=height, width=width))
    return tmp_path / "videos"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate(((24, 40), (40, 24), (33, 33))):
        image = Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8))
        image.save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def clips(path: Path, *, limit: float = 1.0) -> Samples:
    source = open_video_folder(path, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    return open_samples(
        source, side=32, sampling=Sampling(inputs={"video": Clip(frames=4)}), cache_limit_gb=limit, workers=2
    )


def images(path: Path, *, limit: float = 1.0) -> Samples:
    source = open_source(str(path), split="train", needs=frozenset({"image"}), held_out=0.0)
    return open_samples(source, side=24, sampling=Sampling(), cache_limit_gb=limit, workers=1)


def computed(samples: Samples, program: Program | None = None, *, limit: float = 1.0) -> FrameMaps:
    return open_computed(program or Copy(), samples, cache_limit_gb=limit, workers=2)


@pytest.mark.parametrize("limit", [1.0, 0.0], ids=["packed", "decoded live"])
def test_maps_stand_in_the_windows_and_times_of_the_clips(videos: Path, limit: float) -> None:
    samples = clips(videos, limit=limit)
    rows = np.array([0, 1, 2, 1])
    draws = np.random.default_rng(0).random((4, 3))
    video = samples.read(rows, draws)["video"]
    seconds = np.stack([samples.clip(row, draw)[0] for row, draw in zip(rows, draws[:, 2], strict=True)])  # type: ignore[attr-defined]
    frames = np.stack([samples.clip(row, draw)[1].frames for row, draw in zip(rows, draws[:, 2], strict=True)])  # type: ignore[attr-defined]
    maps = computed(samples)
    assert video is not None
    assert np.array_equal(maps.read(rows, frames, draws), video)
    assert np.array_equal(maps.at(rows, seconds + 0.005, draws), video)


@pytest.mark.parametrize("limit", [1.0, 0.0], ids=["packed", "decoded live"])
def test_images_are_videos_of_one_frame_and_subsets_have_rows_of_their_own(photos: Path, limit: float) -> None:
    samples = Subset(images(photos, limit=limit), np.array([2, 0]))
    rows, draws = np.array([1, 0, 1]), np.random.default_rng(0).random((3, 3))
    maps = computed(samples, Copy(plus=3)).read(rows, np.zeros((3, 1), np.int64), draws)
    image = samples.read(rows, draws)["image"]
    assert image is not None
    assert np.array_equal(maps[:, 0], image + np.uint8(3))


@pytest.mark.parametrize("limit", [1.0, 1e-9], ids=["kept", "live"])
def test_an_image_that_is_gone_has_an_empty_map(photos: Path, limit: float) -> None:
    samples = images(photos, limit=0.0)
    (photos / samples.keys[1]).unlink()
    maps = open_computed(Copy(plus=3), samples, cache_limit_gb=limit, workers=1)
    read = maps.read(np.arange(3), np.zeros((3, 1), np.int64), np.full((3, 2), 0.5))
    assert (read[1] == 0).all()
    there = np.array([0, 2])
    image = samples.read(there, np.full((2, 3), 0.5))["image"]
    assert np.array_equal(read[there, 0], image + np.uint8(3))


def test_flow_is_read_at_the_size_of_the_frames_in_their_pixels(videos: Path) -> None:
    maps = computed(clips(videos), OpticalFlow())
    flow = maps.read(np.array([0]), np.array([[2, 5, 11]]), np.full((1, 2), 0.5))
    assert flow.shape == (1, 3, 32, 32, 2)
    assert flow.dtype == np.float32
    assert np.abs(flow[..., 4:-4, 4:-4, :].mean((0, 1, 2, 3)) - [1.0, 0.5]).max() < 0.1


def test_maps_are_computed_once_for_each_version_and_setting(videos: Path) -> None:
    Copy.ran.clear()
    samples = clips(videos)
    for program, times in ((Copy(), 3), (Copy(), 3), (Copy(plus=1), 6), (Copy(), 6)):
        computed(samples, program)
        assert len(Copy.ran) == times
    listed = selftaught.cache()
    assert [store["kind"] for store in listed] == ["videos", "copy", "copy"]
    assert {store["state"] for store in listed} == {"as packed"}
    assert listed[1]["of"] == listed[0]["key"]
    assert listed[1]["bytes"] > 12 * 3 * (32 * 48 + 51 * 32 + 32 * 32)


def test_a_run_shows_how_far_it_is_where_there_is_something_to_compute(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = clips(videos)
    reading = DataSettings(path=str(videos), cache_limit=1.0, workers=1)
    for lines in (1, 0):
        pack_maps(Copy(), samples, reading, title="computing copy")
        assert capsys.readouterr().err.count("computing copy 3/3") == lines


@pytest.mark.parametrize("name", ["values.bin", "scales.npy", "meta.json"])
def test_damaged_maps_are_computed_again(videos: Path, name: str) -> None:
    samples = clips(videos)
    rows, frames, places = np.arange(3), np.zeros((3, 1), np.int64), np.full((3, 2), 0.5)
    before = computed(samples).read(rows, frames, places)
    file = list_stores()[1].path / name
    file.write_bytes(file.read_bytes()[:-7])
    Copy.ran.clear()
    assert np.array_equal(computed(samples).read(rows, frames, places), before)
    assert len(Copy.ran) == 3


def test_what_a_killed_process_left_goes(videos: Path) -> None:
    samples = clips(videos)
    computed(samples)
    folder = list_stores()[1].path
    left = folder.with_name(f".{folder.name}.abc.part")
    folder.rename(left)
    computed(samples)
    assert folder.is_dir()
    assert not left.exists()


def test_maps_go_with_their_store_and_without_it_are_of_no_use(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftaught.data.store.cache._hold", lambda folder: None)
    computed(clips(videos))
    packed, _ = list_stores()
    packed.path.rename(packed.path.with_name("elsewhere"))
    assert [(store["kind"], store["removed"]) for store in selftaught.cache(prune=True)] == [("copy", True)]
    packed.path.with_name("elsewhere").rename(packed.path)
    computed(clips(videos))
    selftaught.cache([packed.key], clear=True)
    assert list_stores() == []


def test_programs_of_whole_shots_need_videos_and_room(photos: Path, videos: Path) -> None:
    with pytest.raises(ValueError, match=r"video_pca is computed from all frames of a video, but .* holds images"):
        open_computed(VideoPca(), images(photos), cache_limit_gb=1.0)
    with pytest.raises(ValueError, match=r"the video_pca of .* needs .* GB, more than --cache-limit 1e-09, .*; raise"):
        open_computed(VideoPca(), clips(videos), cache_limit_gb=1e-9)


def test_what_cannot_be_computed_is_said(photos: Path, videos: Path) -> None:
    with pytest.raises(ValueError, match=r"optical_flow is computed from 2 frames of a video, but .* holds images"):
        computed(images(photos), OpticalFlow())


def test_maps_beyond_the_limit_are_computed_as_they_are_read(videos: Path) -> None:
    Copy.ran.clear()
    samples, frames = clips(videos), np.array([[0, 3]])
    maps = computed(samples, limit=1e-5)
    assert re.fullmatch(r"the copy of .*/videos would need .* GB, more than --cache-limit 1e-05: it .*", maps.note)
    assert Copy.ran == []
    read = maps.read(np.array([1]), frames, np.full((1, 2), 0.5))
    assert Copy.ran == [1, 1]
    assert [store.kind for store in list_stores()] == ["videos"]
    kept = computed(samples)
    assert (kept.note, kept.key) == ("", maps.key)
    assert np.array_equal(kept.read(np.array([1]), frames, np.full((1, 2), 0.5)), read)
    assert computed(samples, limit=1e-5).note == ""  # they are there

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.inputs import Clip
from selftaught.data.sources.shards import Shards, find_shards
from selftaught.data.store import first_samples as first_ones
from selftaught.data.store.cache import list_stores
from selftaught.data.store.first_samples import first_samples, in_memory, indexed
from selftaught.data.store.samples import NothingReadable
from tests.conftest import WriteVideo
from tests.data.store.videos import opened
from tests.data.tar_shards import jpeg, write_shards
from tests.data.video_shards import write_clip_shards


def shards(folder: Path) -> Shards:
    found = find_shards(str(folder))
    assert found is not None
    return found


def test_the_first_samples_of_each_shard_are_kept(tmp_path: Path) -> None:
    write_shards(tmp_path, [8, 8], broken=[1])
    source = first_samples(shards(tmp_path), 6)
    assert [entry.key for entry in source.entries] == [f"s-000.tar/{i:06d}.jpg" for i in range(3)] + [
        f"s-001.tar/{i:06d}.jpg" for i in range(8, 11)
    ]
    samples = in_memory(source, side=16, decoding=Decoding(), workers=2)
    assert list(samples.keys) == [source.entries[i].key for i in (0, 2, 3, 4, 5)]
    assert [key for key, _ in samples.skipped] == ["s-000.tar/000001.jpg"]
    host = samples.read(np.array([1]), np.full((1, 3), 0.5))
    expected = fit(jpeg(2), side=16, decoding=Decoding())
    left = int(0.5 * (expected.shape[1] - 15))
    assert np.array_equal(host["image"][0], expected[:, left : left + 16])


def test_shards_without_images_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, [0, 0])
    with pytest.raises(ValueError, match="holds no images in 2 of its shards"):
        first_samples(shards(tmp_path), 4)
    write_shards(tmp_path / "broken", [2, 2], broken=range(4))
    source = first_samples(shards(tmp_path / "broken"), 4)
    with pytest.raises(ValueError, match="none of the first 4 images"):
        in_memory(source, side=16, decoding=Decoding(), workers=1)


SAMPLING = Sampling(inputs={"video": Clip(frames=4)})


def test_the_first_videos_are_samples_like_those_of_a_folder(
    cache: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    folder = write_clip_shards(tmp_path, [4, 3], write_video, broken={1})
    source = first_samples(shards(folder), 5, kind="video")
    assert [entry.key for entry in source.entries] == [f"s-00{i // 4}.tar/00{i}.mp4" for i in (0, 1, 2, 4, 5, 6)]
    assert source.provides == {"video", "image", "audio"}
    samples = indexed(source, side=32, sampling=SAMPLING, workers=2)
    assert [key[-7:] for key in samples.keys] == ["000.mp4", "002.mp4", "004.mp4", "005.mp4", "006.mp4"]
    assert [key for key, _ in samples.skipped] == ["s-000.tar/001.mp4"]
    assert not list_stores()
    whole = opened(tmp_path / "files", SAMPLING, side=32)
    draws = np.array([[0.5, 0.5, 0.3]])
    found = samples.read(np.array([4]), draws)["video"]
    assert np.array_equal(found, whole.read(np.array([len(whole) - 1]), draws)["video"])


def test_of_long_videos_the_first_of_each_shard_are_taken(
    cache: Path, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_clip_shards(tmp_path, [3, 3], write_video)
    monkeypatch.setattr(first_ones, "MOST_SECONDS", 1.0)  # a video has 0.6
    monkeypatch.setattr(first_ones, "LEAST_VIDEOS", 2)
    samples = indexed(first_samples(shards(folder), 6, kind="video"), side=32, sampling=SAMPLING, workers=1)
    assert list(samples.keys) == ["s-000.tar/000.mp4", "s-001.tar/003.mp4"]


def test_shards_without_usable_videos_are_refused(tmp_path: Path, write_video: WriteVideo) -> None:
    write_shards(tmp_path / "images", [2])
    with pytest.raises(ValueError, match="holds no videos in 1 of its shards; give shards of videos"):
        first_samples(shards(tmp_path / "images"), 4, kind="video")
    folder = write_clip_shards(tmp_path, [2], write_video, broken={0, 1})
    with pytest.raises(
        NothingReadable, match=r"none of the first 2 videos of .* can be read; the first, s-000.tar/000"
    ):
        indexed(first_samples(shards(folder), 2, kind="video"), side=32, sampling=SAMPLING, workers=1)

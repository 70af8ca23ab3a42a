"""Views of samples of tars: those that a packed store gives, of images and of videos."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.sources.shards import Shards, find_shards
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.evaluation.vectors.tar_views import ClipViews, ImageViews, stacked
from selftaught.evaluation.vectors.work import Tars, open_work
from tests.conftest import WriteVideo
from tests.data.store.videos import opened
from tests.data.tar_shards import write_shards
from tests.data.video_shards import write_clip_shards
from tests.evaluation.vectors.small_subject import write_weights


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return open_subject(write_weights(tmp_path_factory.mktemp("w") / "w.safetensors"), size=32)


def shards_of(folder: Path) -> Shards:
    found = find_shards(str(folder))
    assert found is not None
    return found


def test_an_image_has_one_view(subject: Subject, tmp_path: Path) -> None:
    write_shards(tmp_path, [2])
    views = ImageViews(subject, DataSettings(path=str(tmp_path)), shards_of(tmp_path))
    assert (views.kind, views.views_or_why(ValueError("gone"))) == ("image", "gone")
    assert "image" in str(views.views_or_why(b"no image"))


def test_tars_of_which_no_first_image_can_be_read_are_refused(subject: Subject, tmp_path: Path) -> None:
    write_shards(tmp_path, [2, 1], broken=[0, 1])
    reading = DataSettings(path=str(tmp_path))
    assert ImageViews(subject, reading, shards_of(tmp_path)).side == 24, "one of three is an image"
    why = (
        r"none of the first 2 images of .* can be read; the first, s-000.tar/000000.jpg: not an image in a known format"
    )
    with pytest.raises(ValueError, match=why):
        ImageViews(subject, reading, shards_of(tmp_path).first(1))


def test_a_video_has_the_views_of_a_packed_one(subject: Subject, tmp_path: Path, write_video: WriteVideo) -> None:
    shards = write_clip_shards(tmp_path, [2], write_video)
    reading = DataSettings(path=str(shards))
    views = ClipViews(subject, reading, shards_of(shards))
    assert (views.kind, views.side) == ("video", 32)
    content = (tmp_path / "files" / "001.mp4").read_bytes()
    video = EncodedVideo(lambda: BytesIO(content))
    found = views.views_or_why(video)
    assert not isinstance(found, str)
    samples = opened(tmp_path / "files", Sampling(), side=32)
    for view, draws in zip(found, samples.eval_draws(2, len(found)), strict=True):
        assert np.array_equal(view["image"], samples.read(np.array([1]), draws[1:])["image"][0])
    assert np.array_equal(stacked([found[0], found[1]])["image"][1], found[1]["image"])
    middle = views.image_or_why(video)
    assert np.array_equal(middle, samples.read(np.array([1]), np.full((1, 3), 0.5))["image"][0])


def test_tars_of_videos_give_the_vectors_of_packed_ones(
    subject: Subject, tmp_path: Path, write_video: WriteVideo
) -> None:
    data = write_clip_shards(tmp_path, [2, 2], write_video, broken={2})
    device = torch.device("cpu")
    streamed, packed = (open_work(subject, DataSettings(path=str(data)), stream=how) for how in ("always", "never"))
    assert isinstance(streamed, Tars)
    parts = [streamed.shard(number, device) for number in (0, 1)]
    assert [list(part.keys) for part in parts] == [["s-000.tar/000.mp4", "s-000.tar/001.mp4"], ["s-001.tar/003.mp4"]]
    assert [key for part in parts for key, _ in part.skipped] == ["s-001.tar/002.mp4"]
    rows: dict[str, Any] = {}
    for number in range(len(packed)):
        part = packed.shard(number, device)
        rows |= {key.rpartition("/")[2]: row for key, row in zip(part.keys, part.vectors, strict=True)}
    for part in parts:
        for key, row in zip(part.keys, part.vectors, strict=True):
            assert np.allclose(rows[key.rpartition("/")[2]], row, atol=1e-5)
    assert dict(streamed.images(0)).keys() == {"s-000.tar/000.mp4", "s-000.tar/001.mp4"}

"""Frames that are in no file: packed and decoded as they are read, they give what was drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.batch import Sampling
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.video import decode_sound, read_header
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.inputs import Clip
from selftaught.data.sources.base import Entry, Source
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_samples import VideoSamples


class Counted(FrameSequence):
    """Frames of one level each, 10 times their number plus 30; those numbered `broken` cannot be read."""

    def __init__(self, broken: frozenset[int] = frozenset(), count: int = 12) -> None:
        self.fps, self.count, self.broken = 10.0, count, broken

    @property
    def shape(self) -> tuple[int, int]:
        return 24, 32

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        for number in numbers:
            broken = Unreadable("damaged") if number in self.broken else None
            yield broken or np.full((24, 32, 3), 10 * number + 30, np.uint8)


class Drawn(Source):
    def __init__(self, videos: list[Counted]) -> None:
        self.entries = [Entry(f"{n}") for n in range(len(videos))]
        self.provides, self.classes = frozenset({"video", "image"}), None
        self.fingerprint = digest([repr([sorted(video.broken) for video in videos])])
        self.videos = videos

    def read(self, i: int) -> FrameSequence:
        return self.videos[i]


def test_a_sequence_is_decoded_as_a_file_is() -> None:
    video = Counted()
    header = read_header(video)
    assert (header.height, header.width, header.frames, header.has_sound) == (24, 32, 12, False)
    assert list(decode_sound(video)) == []
    found = list(decode_frames(video, 12))
    assert [one.time for one in found] == pytest.approx([n / 10 for n in range(12)])
    assert [one.image.shape for one in found] == [(12, 16, 3)] * 12
    assert [int(one.image.mean()) for one in found] == [10 * n + 30 for n in range(12)]


@pytest.mark.parametrize("limit", [50.0, 1e-9], ids=["packed", "as they are read"])
def test_clips_are_the_frames_of_their_times(cache: object, limit: float) -> None:
    source = Drawn([Counted(), Counted(broken=frozenset({0, 4}))])
    sampling = Sampling(inputs={"clip": Clip(frames=4, fps=5)})
    samples = open_samples(source, side=16, sampling=sampling, cache_limit_gb=limit, workers=2)
    assert isinstance(samples, VideoSamples)
    rows, draws = np.array([0, 1]), np.full((2, 3), 0.4)
    levels = samples.read(rows, draws)["clip"].mean((2, 3, 4)) / 10 - 3
    # Of the second video, whose times begin at frame 1, no clip crosses frame 4.
    assert levels.round().tolist() == [[2, 4, 6, 8], [5, 7, 9, 11]]
    levels = samples.read(np.array([1]), np.zeros((1, 3)))["clip"].mean((2, 3, 4)) / 10 - 3
    assert levels.round().tolist() == [[5, 7, 9, 11]]
    assert samples.skipped == [("1", "damaged from 0.3 s to 0.4 s; the rest is used")]
    assert samples.num_frames.tolist() == [12, 10]

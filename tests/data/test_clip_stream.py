"""A stream of clips: the clips of the same videos in a folder, by seed alone, resumed to the bit, damage listed."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.inputs import Clip
from selftaught.data.passing_samples import PassingClips
from selftaught.data.sources.shards import find_shards
from selftaught.data.stream import Stream
from tests.conftest import WriteVideo
from tests.data.store.videos import opened
from tests.data.video_shards import write_clip_shards

COUNTS, BROKEN = [3, 4, 2, 3], {4}
SAMPLING = Sampling(inputs={"video": Clip(frames=4, stride=2)})


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    return write_clip_shards(tmp_path_factory.mktemp("clips"), COUNTS, write_video, broken=BROKEN)


def stream(data: Path, *, sampling: Sampling = SAMPLING, **settings: Any) -> Stream:
    found = find_shards(str(data))
    assert found is not None
    asked: dict[str, Any] = {"batch_size": 2, "seed": 0, "workers": 2, "window": 4, "count": 12}
    clips = PassingClips(side=32, sampling=sampling)
    return Stream(found, clips, device=torch.device("cpu"), **asked | settings)


def batches(reader: Stream, steps: Sequence[int]) -> list[Batch]:
    with contextlib.closing(reader):
        return [reader.batch(step) for step in steps]


def numbers(read: Sequence[Batch]) -> list[int]:
    first = np.cumsum([0, *COUNTS])
    return [int(first[i >> 32]) + (i & 0xFFFFFFFF) for batch in read for i in batch.index.tolist()]


def assert_same(read: Sequence[Batch], expected: Sequence[Batch]) -> None:
    for batch, other in zip(read, expected, strict=True):
        assert torch.equal(batch.index, other.index)
        assert torch.equal(batch["video"], other["video"])


def test_clips_are_those_of_the_same_videos_in_a_folder(cache: Path, shards: Path) -> None:
    samples = opened(shards.parent / "files", SAMPLING, side=32)
    row_of = {int(key[:3]): row for row, key in enumerate(samples.keys)}
    for batch in batches(stream(shards), range(4)):
        for number, index, clip in zip(numbers([batch]), batch.index.tolist(), batch["video"], strict=True):
            draws = numpy_generator(0, "passing", 0, index).random((1, 3))
            expected = samples.read(np.array([row_of[number]]), draws)
            assert np.array_equal(clip.movedim(-3, -1).numpy(), expected["video"][0])


def test_each_epoch_reads_every_video_once_with_other_clips(shards: Path) -> None:
    reader = stream(shards, window=11, batch_size=1)
    read = batches(reader, range(22))  # two epochs of 11 readable videos
    assert Counter(numbers(read)) == dict.fromkeys(set(range(12)) - BROKEN, 2)
    assert [key for key, _ in reader.skipped] == ["s-001.tar/004.mp4"]
    times: dict[int, list[float]] = {}
    for batch in read:
        assert batch.time is not None
        for number, time in zip(numbers([batch]), batch.time.tolist(), strict=True):
            times.setdefault(number, []).append(time)
    assert sum(first != second for first, second in times.values()) > 5


@pytest.mark.parametrize("step", [1, 7])
def test_it_goes_on_from_its_state_to_the_bit_with_other_threads(shards: Path, step: int) -> None:
    first = stream(shards)
    with contextlib.closing(first):
        expected = [first.batch(at) for at in range(step + 5)][step:]
    before = stream(shards)
    batches(before, range(step))
    tensors, values = before.state(step)
    again = stream(shards, workers=1)
    again.restore(tensors, json.loads(json.dumps(values)))
    assert_same(batches(again, range(step, step + 5)), expected)


def test_two_processes_read_every_video_once(shards: Path) -> None:
    read: list[int] = []
    for rank in (0, 1):
        reader = stream(shards, rank=rank, world=2, window=1, exchange=lambda numbers: [numbers, numbers])
        share = sum(count - (shard == 1) for shard, count in enumerate(COUNTS) if shard in reader.order(0))
        found = batches(reader, range(share))
        assert {int(i) >> 32 for batch in found for i in batch.index} == set(reader.order(0))
        read += numbers(found)
    assert sorted(read) == sorted(set(range(12)) - BROKEN)


def test_clips_of_one_video_are_neighbours(shards: Path) -> None:
    pairs = Sampling(inputs={"video": Clip(frames=2)}, clips_per_video=2, min_gap=0.1)
    read = batches(stream(shards, sampling=pairs, batch_size=4), range(3))
    for batch in read:
        assert batch.index[0::2].tolist() == batch.index[1::2].tolist()
        assert batch.time is not None
        assert ((batch.time[0::2] - batch.time[1::2]).abs() >= 0.1 - 1e-6).all()
    with pytest.raises(ValueError, match="--batch-size 3 must be a multiple of 2: 2 rows of each video on 1 devices"):
        stream(shards, sampling=pairs, batch_size=3)


def test_videos_that_are_all_too_short_end_with_a_sentence(shards: Path) -> None:
    long = Sampling(inputs={"video": Clip(frames=40)})
    with pytest.raises(ValueError, match=r"no video can be read in 4 of the 4 .*fewer than the 40 of a clip; give"):
        batches(stream(shards, sampling=long), [0])

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.data.batch import Batch
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.passing_samples import PassingImages
from selftaught.data.sources.shards import find_shards
from selftaught.data.sources.tars.tar_stream import Kind, tar_samples
from selftaught.data.stream import Stream
from tests.data.tar_shards import jpeg, served, write_shards

COUNTS = [7, 12, 9, 11, 8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, COUNTS, broken=[3, 20])
    return folder


def stream(data: Path | str, *, count: int = 47, window: int = 16, **settings: Any) -> Stream:
    shards = find_shards(str(data))
    assert shards is not None
    defaults: dict[str, Any] = {"batch_size": 4, "seed": 0, "workers": 2}
    images = PassingImages(side=settings.pop("side", 16), decoding=Decoding())
    asked = defaults | settings
    return Stream(shards, images, count=count, device=torch.device("cpu"), window=window, **asked)


def batches(reader: Stream, steps: Sequence[int]) -> list[Batch]:
    with contextlib.closing(reader):
        return [reader.batch(step) for step in steps]


def numbers(read: list[Batch]) -> list[int]:
    """Numbers of the images over all shards, from that of the shard and that of the sample in it."""
    first = np.cumsum([0, *COUNTS])
    return [int(first[i >> 32]) + (i & 0xFFFFFFFF) for batch in read for i in batch.index.tolist()]


def assert_same(read: Sequence[Batch], expected: Sequence[Batch]) -> None:
    for batch, other in zip(read, expected, strict=True):
        assert torch.equal(batch.index, other.index)
        assert torch.equal(batch["image"], other["image"])


def test_each_epoch_reads_every_shard_once_in_another_order(folder: Path) -> None:
    reader = stream(folder)
    orders = [reader.order(epoch) for epoch in range(3)]
    assert [sorted(order) for order in orders] == [[0, 1, 2, 3, 4]] * 3
    assert orders[0] != orders[1]
    read = numbers(batches(stream(folder, window=12), range(45)))  # four epochs of 45 readable images
    assert Counter(read) == dict.fromkeys(set(range(47)) - {3, 20}, 4)
    assert read[:45] != sorted(read[:45])


def test_images_are_those_of_their_numbers(folder: Path) -> None:
    reader = stream(folder)
    (batch,) = batches(reader, [0])
    for number, image in zip(numbers([batch]), batch["image"], strict=True):
        pixels = fit(jpeg(number), side=16, decoding=Decoding())
        places = [pixels[:, left : left + 16] for left in range(pixels.shape[1] - 15)]
        assert any(np.array_equal(image.permute(1, 2, 0).numpy(), place) for place in places)


def test_samples_are_shuffled_within_a_window_by_seed(folder: Path) -> None:
    first = numbers(batches(stream(folder), range(4)))
    other = numbers(batches(stream(folder, seed=1), range(4)))
    assert first != other
    order = stream(folder).order(0)
    starts = np.cumsum([0, *COUNTS])
    in_order = [n for shard in order for n in range(starts[shard], starts[shard + 1]) if n not in (3, 20)]
    assert sorted(first) == sorted(in_order[:16])
    assert first != in_order[:16]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_the_same_for_any_number_of_threads(folder: Path, workers: int) -> None:
    assert_same(batches(stream(folder, workers=workers), range(14)), batches(stream(folder), range(14)))


def test_a_step_can_be_asked_for_again_or_later(folder: Path) -> None:
    expected = batches(stream(folder), range(15))
    assert_same(batches(stream(folder), [0, 1, 0, 13, 2]), [expected[i] for i in (0, 1, 0, 13, 2)])


@pytest.mark.parametrize("step", [0, 3, 4, 18, 37])
def test_a_stream_goes_on_from_its_state_to_the_bit(folder: Path, step: int) -> None:
    first, again = stream(folder), stream(folder, workers=1)
    expected = batches(first, range(step + 6))[step:]
    tensors, values = state_after(folder, step)
    assert tensors == {}
    again.restore(tensors, json.loads(json.dumps(values)) | {"step": step})
    assert_same(batches(again, range(step, step + 6)), expected)
    assert set(first.skipped) >= set(again.skipped) >= {tuple(row) for row in values["stream"]["skipped"]}


def state_after(folder: Path, done: int) -> Any:
    reader = stream(folder)
    batches(reader, range(done))
    return reader.state(done)


def test_going_on_reads_only_from_the_beginning_of_the_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, values = state_after(folder, 33)  # the window of step 32 begins with readable image 128 = 2 * 45 + 38
    again = stream(folder)
    opened: list[tuple[int, int]] = []
    original = Stream._shard

    def noted(self: Stream, shard: int, skip: int) -> Any:
        opened.append((shard, skip))
        return original(self, shard, skip)

    monkeypatch.setattr(Stream, "_shard", noted)
    again.restore(tensors, values)
    with contextlib.closing(again):
        again.batch(33)
    epoch, place, sample = values["stream"]["starts"][0]
    assert epoch == 2
    assert opened[0] == (again.order(2)[place], sample)
    assert values["stream"]["window"] == 8


def test_two_processes_read_every_shard_once(tmp_path: Path) -> None:
    write_shards(tmp_path, [8] * 6)
    read: list[int] = []
    for rank in (0, 1):
        reader = stream(tmp_path, count=48, rank=rank, world=2, window=8, exchange=lambda numbers: [numbers, numbers])
        share = batches(reader, range(12))
        assert [len(batch) for batch in share] == [2] * 12
        assert {int(i) >> 32 for batch in share for i in batch.index} == set(reader.order(0))
        read += [int(i) for batch in share for i in batch.index]
    assert sorted(read) == [(shard << 32) | number for shard in range(6) for number in range(8)]


def test_the_state_holds_the_position_of_every_process(folder: Path) -> None:
    others = {0: [0, 0, 0, 0, 2, 5], 1: [0, 2, 5, 1, 0, 3]}

    def exchange(numbers: Sequence[int]) -> list[Sequence[int]]:
        return [numbers, others[min(1, numbers[1] + numbers[2])]]

    reader = stream(folder, world=2, window=8, exchange=exchange)
    batches(reader, range(6))
    assert [start[1] for start in [reader.state(s)[1]["stream"]["starts"] for s in (0, 4, 8)]] == [
        [0, 0, 0],
        [0, 2, 5],
        [1, 0, 3],
    ]
    with pytest.raises(ValueError, match="read shards by 2 processes, not by 1"):
        stream(folder).restore(*reader.state(4))


def test_fewer_shards_than_processes_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="has 5 shards to train on, fewer than the 6 processes"):
        stream(folder, world=6, batch_size=12)


def test_broken_samples_and_shards_are_skipped_and_listed(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, [6, 6, 6], broken=[2, 14])
    paths[1].write_bytes(b"no tar at all" * 100)
    reader = stream(tmp_path, count=18)
    read = [i for batch in batches(reader, range(10)) for i in batch.index.tolist()]
    assert len(set(read)) == 10
    skipped = dict(reader.skipped)
    assert sorted(skipped) == ["s-000.tar/000002.jpg", "s-001.tar", "s-002.tar/000014.jpg"]
    assert "is not a tar archive" in skipped["s-001.tar"]


def test_shards_without_one_readable_image_end_with_a_sentence(tmp_path: Path) -> None:
    write_shards(tmp_path, [3, 3], broken=range(6))
    with pytest.raises(ValueError, match=r"no image can be read in 2 of the 2 training shards of .*; the first, s-"):
        batches(stream(tmp_path, count=6), [0])


def test_a_url_gives_the_same_batches_and_a_lost_server_ends_with_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("selftaught.data.stream._PAUSE", 0.0)
    expected = batches(stream(folder), range(14))
    with served(folder) as url:
        reader = stream(f"{url}/s-{{000..004}}.tar")
        assert_same([reader.batch(step) for step in range(14)], expected)
    with pytest.raises(ValueError, match=r"cannot be read any more .* --resume"):
        batches(reader, range(14, 60))


def test_a_connection_that_breaks_once_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("selftaught.data.stream._PAUSE", 0.0)
    broken = set[str]()

    def breaking(url: str, *, skip: int = 0, kind: Kind = "image") -> Any:
        for number, sample in enumerate(tar_samples(url, skip=skip, kind=kind)):
            if number == 4 and url not in broken:
                broken.add(url)
                raise ConnectionResetError("reset by peer")
            yield sample

    expected = batches(stream(folder), range(14))
    monkeypatch.setattr("selftaught.data.stream.tar_samples", breaking)
    with served(folder) as url:
        assert_same(batches(stream(f"{url}/s-{{000..004}}.tar"), range(14)), expected)
    assert len(broken) == 5


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    peaks: dict[int, int] = {}
    for times in (1, 4, 16):
        write_shards(tmp_path / str(times), [40] * (2 * times))
        reader = stream(tmp_path / str(times), count=80 * times, window=32, side=64, batch_size=8)
        tracemalloc.start()
        with contextlib.closing(reader):
            for step in range(10 * times):
                reader.batch(step)
            peaks[times] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Two windows of 32 images of 64 x 85 pixels are 1.04 MB; all images of the largest data would be 21 MB.
    # How much of both is there at once depends on the threads.
    assert max(peaks.values()) < 1.6e6

from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.data.batch import Sampling
from selftaught.data.loader import Loader, ordered_batches
from selftaught.data.store.samples import Samples


def loader(samples: Samples, *, rank: int = 0, world: int = 1, seed: int = 0, limit: int | None = None) -> Loader:
    return Loader(
        samples,
        sampling=Sampling(),
        batch_size=8,
        seed=seed,
        device=torch.device("cpu"),
        rank=rank,
        world=world,
        limit=limit,
    )


def test_a_batch_is_a_function_of_the_step(samples: Samples) -> None:
    first, again = loader(samples), loader(samples)
    expected = [first.batch(step) for step in range(20)]
    for step in (13, 2, 19, 0):
        batch, before = again.batch(step), expected[step]
        assert torch.equal(batch.index, before.index)
        assert torch.equal(batch["image"], before["image"])
    first.close()
    again.close()


def test_every_epoch_reads_every_sample_once_in_another_order(samples: Samples) -> None:
    reader = loader(samples)
    count = len(samples)
    rows = np.concatenate([reader.rows(step) for step in range(2 * count // 8 + 1)])
    first, second = rows[:count], rows[count : 2 * count]
    assert sorted(first) == sorted(second) == list(range(count))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, loader(samples, seed=1).rows(0))


def test_two_processes_share_the_batch_of_one(samples: Samples) -> None:
    whole = loader(samples).batch(5).index
    parts = [loader(samples, rank=rank, world=2).batch(5).index for rank in (0, 1)]
    assert torch.equal(whole, torch.cat(parts))


def test_limit_reads_a_seeded_part(samples: Samples) -> None:
    rows = np.concatenate([loader(samples, limit=10).rows(step) for step in range(10)])
    assert len(set(rows.tolist())) == 10


def test_ordered_batches_give_every_sample_once(samples: Samples) -> None:
    batches = list(ordered_batches(samples, sampling=Sampling(), batch_size=16, device=torch.device("cpu")))
    assert torch.cat([b.index for b in batches]).tolist() == list(range(len(samples)))
    assert batches[0]["image"].shape == (16, 3, 16, 16)


def test_a_batch_that_cannot_be_shared_is_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="--batch-size 8 must be a multiple of 3"):
        loader(samples, world=3)


def test_the_state_of_a_loader_is_the_order_it_follows(samples: Samples) -> None:
    first, again = loader(samples), loader(samples)
    assert first.state(7) == ({}, {})
    first.follow(3, np.array([5, 9, 2, 7], np.int64))
    tensors, values = first.state(7)
    again.restore(tensors, values | {"step": 7})
    assert again.rows(4).tolist() == first.rows(4).tolist() == [5, 9, 2, 7, 5, 9, 2, 7]
    assert np.array_equal(again.rows(2), loader(samples).rows(2))

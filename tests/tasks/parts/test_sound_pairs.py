"""Pairs of clips and sounds: labels are true, kinds come as often as asked, silence and time tell nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.tasks.parts.sound_pairs import SoundPairs, pair_sounds


def batch_of(index: list[int], time: list[float], silent: tuple[int, ...] = ()) -> Batch:
    audio = 0.1 * torch.randn(len(index), 1600, generator=torch.Generator().manual_seed(1))
    audio[list(silent)] = 0.0
    return Batch(index=torch.tensor(index), inputs={"audio": audio}, time=torch.tensor(time))


def drawn(batch: Batch, seed: int, *, same_video: float | Tensor = 0.5) -> SoundPairs:
    rng = torch.Generator().manual_seed(seed)
    return pair_sounds(batch, rng, same_video=same_video, apart=1.0, silence=0.003)


def eight_videos(silent: tuple[int, ...] = ()) -> Batch:
    return batch_of([n // 2 for n in range(16)], [0.7, 2.4] * 8, silent)


def test_pairs_are_what_their_labels_say() -> None:
    batch = eight_videos()
    assert batch.time is not None
    for seed in range(20):
        pairs = drawn(batch, seed)
        assert int(pairs.target.sum()) == 8
        for n, (partner, target) in enumerate(zip(pairs.partner.tolist(), pairs.target.tolist(), strict=True)):
            same = bool(batch.index[partner] == batch.index[n])
            assert bool(pairs.same_video[n]) == same
            assert (partner == n) == bool(target)
            assert target or not same or abs(float(batch.time[partner] - batch.time[n])) >= 1
        assert pairs.weight.tolist() == [1.0] * 16


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_the_same_video_may_be_a_tensor(share: float) -> None:
    batch = eight_videos()
    found = [drawn(batch, seed, same_video=torch.tensor(share)) for seed in range(60)]
    same = torch.cat([pairs.same_video[pairs.target == 0] for pairs in found]).float().mean()
    assert float(same) == pytest.approx(share, abs=0.08)


def test_neither_a_row_nor_the_time_of_a_sound_gives_away_the_label() -> None:
    """Every row and every moment of a video is matched half of the time."""
    batch = eight_videos()
    by_row, by_sound = torch.zeros(16), torch.zeros(16, 2)
    for seed in range(400):
        pairs = drawn(batch, seed)
        by_row += pairs.target
        by_sound[pairs.partner, pairs.target] += 1
    assert (by_row / 400 - 0.5).abs().max() < 0.09
    assert (by_sound[:, 1] / by_sound.sum(1) - 0.5).abs().max() < 0.1


def test_silence_takes_part_in_no_pair() -> None:
    silent = (3, 4, 5, 10)
    pairs = drawn(eight_videos(silent), 0)
    assert pairs.weight.tolist() == [float(n not in silent) for n in range(16)]
    assert not set(pairs.partner[pairs.weight > 0].tolist()) & set(silent)

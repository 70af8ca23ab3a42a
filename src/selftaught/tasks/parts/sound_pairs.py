"""Which sound each frame or clip of a batch is paired with, for tasks that tell matched pairs from mismatched ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.data.batch import Batch
from selftaught.ops.sound.spectrogram import rms


@dataclass
class SoundPairs:
    """N pairs.

    Attributes:
        partner: (N,) int64, the row of the sound that row n is paired with.
        target: (N,) int64, 1 where both belong together.
        same_video: (N,) bool, the sound is of the row's video, from whatever time.
        weight: (N,) float32, 0 for pairs that do not count because of silence.
    """

    partner: Tensor
    target: Tensor
    same_video: Tensor
    weight: Tensor


def pair_sounds(
    batch: Batch, rng: Generator, *, same_video: float | Tensor, apart: float, silence: float
) -> SoundPairs:
    """Half of the rows keep their own sound, the others get that of another row.

    Rows and sounds are drawn alike for both halves, so neither the position in the batch, nor a sound by itself, nor
    the time it is of, reveals the label. Rows of silent moments do not count, neither with their own sound (the answer
    would be undefined) nor with another (it would always be a mismatch).

    Args:
        batch: with "audio" (N, S) and `time`.
        rng: for the halves and for the other rows.
        same_video: fraction of the mismatched pairs whose sound is of the same video at another time, in [0, 1], a
            number or a tensor (); where one kind of mismatch does not exist in the batch, the other takes its place.
        apart: least seconds between the moments of a mismatched pair of one video.
        silence: RMS at full scale 1 below which a sound counts as silent.
    """
    assert batch.time is not None
    n = len(batch)
    loud = rms(batch["audio"]) >= silence
    same = batch.index[:, None] == batch.index[None, :]
    is_apart = (batch.time[:, None] - batch.time[None, :]).abs() >= apart - 1e-3
    inside_video, other_video = same & is_apart & loud[None, :], ~same & loud[None, :]
    inside = uniform((n,), 0, 1, rng) < same_video
    inside = torch.where(inside, inside_video.any(1), ~other_video.any(1))
    allowed = torch.where(inside[:, None], inside_video, other_video)
    # The largest of uniform numbers over the allowed rows is a uniform choice of one of them.
    negative = uniform((n, n), 0, 1, rng).masked_fill(~allowed, -1).argmax(1)
    target = (torch.argsort(uniform((n,), 0, 1, rng)) < n // 2).long()
    partner = torch.where(target == 1, torch.arange(n, device=batch.index.device), negative)
    weight = (loud & allowed.any(1)).float()
    return SoundPairs(partner, target, batch.index == batch.index[partner], weight)

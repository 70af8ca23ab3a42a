"""Short clips: which frames they hold, one window each, and what encoders and people see of them."""

from __future__ import annotations

import pytest
import torch

from selftaught.ops.colour import denormalise
from selftaught.tasks.parts.clips.short_clips import encoder_of, for_encoder, shifted_clips, short_clips, shown
from tests.tasks.clips import rng


def test_clips_begin_at_their_frames() -> None:
    video = torch.arange(2 * 9, dtype=torch.uint8).view(2, 9, 1, 1, 1).expand(-1, -1, 3, 2, 2)
    found = short_clips(video, torch.tensor([[0, 5], [6, 1]]), 3)
    assert found.shape == (2, 2, 3, 3, 2, 2)
    assert found[:, :, :, 0, 0, 0].tolist() == [[[0, 1, 2], [5, 6, 7]], [[15, 16, 17], [10, 11, 12]]]


def test_frames_of_a_short_clip_share_their_shift() -> None:
    still = torch.rand(3, 1, 1, 3, 20, 20, generator=rng()).expand(-1, 4, 2, -1, -1, -1)
    found = shifted_clips(still, torch.tensor([[2.0, 3, 12, 12]] * 3), 8, rng(), jitter=0.1)
    assert found.shape == (3, 4, 2, 3, 8, 8)
    assert torch.equal(found[:, :, 0], found[:, :, 1])
    assert not torch.allclose(found[:, 0], found[:, 1], atol=1e-3)


@pytest.mark.parametrize("length", [1, 3])
def test_rows_are_normalised_images_or_clips(length: int) -> None:
    clips = torch.rand(2, 4, length, 3, 6, 6, generator=rng())
    rows = for_encoder(clips)
    assert rows.shape == ((8, 3, 6, 6) if length == 1 else (8, 3, 3, 6, 6))
    assert encoder_of(length)["encoder"].kind == ("image" if length == 1 else "video")
    for n in range(2):
        for k in range(4):
            seen = shown(rows[4 * n + k])
            assert torch.allclose(seen if length > 1 else seen[None], clips[n, k], atol=1e-5)
    frame = rows[0] if length == 1 else rows[0][:, 0]
    assert torch.allclose(denormalise(frame[None])[0], clips[0, 0, 0], atol=1e-5)

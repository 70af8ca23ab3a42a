"""Parts of the adversarial tasks on clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise_clips, normalise_clips
from selftaught.tasks.parts.clips.adversarial_clips import (
    as_seen,
    judged_together,
    real_above_made,
    real_clips,
    remember,
    shown_clips,
)
from tests.tasks.clips import crossings, rng


def test_real_clips_are_windows_between_bars_and_all_frames_are_cut_alike() -> None:
    videos = torch.full((6, 4, 3, 24, 32), 200, dtype=torch.uint8)
    videos[:, :, :, :6] = 0
    seen = denormalise_clips(real_clips(videos, 16, rng(), least_side=0.8, is_stabilised=False))
    assert seen.shape == (6, 3, 4, 16, 16)
    assert torch.allclose(seen, torch.full_like(seen, 200 / 255), atol=5e-3)
    videos = crossings(range(4), frames=4)[0]
    still = videos[:, :1].expand(-1, 4, -1, -1, -1)
    for is_stabilised in (False, True):
        clips = real_clips(still, 16, rng(), least_side=0.8, is_stabilised=is_stabilised)
        assert torch.allclose(clips, clips[:, :, :1].expand_as(clips), atol=1e-4)


def test_generated_clips_are_in_the_range_of_real_ones() -> None:
    pixels = torch.linspace(-1, 1, 3 * 4 * 8 * 8).view(1, 3, 4, 8, 8)
    seen = as_seen(pixels.to(torch.bfloat16))
    assert seen.dtype == torch.float32
    assert torch.allclose(denormalise_clips(seen), 0.5 + 0.5 * pixels, atol=4e-3)
    assert torch.allclose(normalise_clips(denormalise_clips(as_seen(pixels))), as_seen(pixels), atol=1e-5)
    assert torch.equal(as_seen(pixels)[:, :, 2], as_seen(pixels[:, :, 2:3])[:, :, 0])


def test_both_kinds_are_judged_in_one_batch_and_real_ones_alone_are_remembered(
    tiny_clip_encoder: Callable[[], Encoder],
) -> None:
    encoder, head = tiny_clip_encoder(), nn.Linear(64, 2)
    real, made = torch.randn(3, 3, 2, 8, 8, generator=rng(1)), 5 + torch.randn(3, 3, 2, 8, 8, generator=rng(2))
    first, second = judged_together(encoder, head, real, made)
    together = head(tiny_clip_encoder()(torch.cat([real, made])))
    assert torch.allclose(torch.cat([first, second]), together, atol=1e-5)
    remember(encoder, real)
    alone = tiny_clip_encoder()
    alone(real)
    assert all(torch.equal(a, b) for a, b in zip(encoder.buffers(), alone.buffers(), strict=True))
    before = [buffer.clone() for buffer in encoder.buffers()]
    remember(encoder.eval(), made)
    assert all(torch.equal(a, b) for a, b in zip(encoder.buffers(), before, strict=True))


def test_pairs_are_counted() -> None:
    real, made = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0, 5.0])
    assert float(real_above_made(real, made)) == pytest.approx(3 / 6)


def test_clips_are_shown_in_grids_and_one_by_one() -> None:
    real, made = (normalise_clips(torch.full((5, 3, 4, 8, 8), level)) for level in (0.2, 0.7))
    scores = (torch.tensor([1.0, 2, 1, -3, 0]), torch.tensor([-1.0, -2, -1, -1, -1]))
    grid, *single = shown_clips(real, made, scores, 8)
    assert len(single) == 7
    assert isinstance(grid.prediction, Tensor)
    assert grid.inputs[0].shape == grid.prediction.shape == (4, 3, 2 * 10 + 2, 3 * 10 + 2)
    assert [one.pseudo_label for one in single[:3]] == ["real", "generated", "real"]
    assert single[6].prediction == "generated (score -3.00)"
    assert single[0].inputs[0].shape == (4, 3, 8, 8)
    assert torch.allclose(single[1].inputs[0], torch.tensor(0.7), atol=1e-5)

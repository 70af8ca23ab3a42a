"""Views of clips: one draw for all frames."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.parts.clips.consistent_view import consistent_view


def views(videos: Tensor, seed: int = 0, **settings: float) -> Tensor:
    strength = {"min_scale": 0.3, "jitter": 1.0, "grey": 0.2, "blur": 0.5, **settings}
    return consistent_view(videos, 16, generator("view", seed), **strength)


def still(n: int, t: int = 3, height: int = 24, width: int = 32) -> Tensor:
    frames = torch.randint(40, 256, (n, 1, 3, height, width), generator=generator("still"), dtype=torch.uint8)
    return frames.expand(n, t, 3, height, width)


def test_all_frames_of_a_clip_are_changed_alike_and_clips_differently() -> None:
    seen = views(still(1).expand(6, -1, -1, -1, -1))
    assert seen.shape == (6, 3, 3, 16, 16)
    assert seen.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(seen, seen[:, :, :1].expand_as(seen), atol=1e-5)
    assert all(not torch.allclose(seen[0], other, atol=1e-2) for other in seen[1:])


def test_views_are_a_function_of_the_generator() -> None:
    first, again, other = (views(still(4), seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_are_cut_between_bars() -> None:
    videos = torch.full((200, 2, 3, 24, 32), 200, dtype=torch.uint8)
    videos[:100, :, :, :6] = 0
    videos[100:, :, :, :, 26:] = 0
    plain = denormalise_clips(views(videos, jitter=0.0, grey=0.0, blur=0.0))
    assert plain.min() > 0.7
    ramp = torch.arange(32).mul(7).to(torch.uint8).expand(200, 1, 3, 24, 32)
    seen = denormalise_clips(views(ramp, jitter=0.0, grey=0.0, blur=0.0, min_scale=0.2))[:, 0, 0].mean(1)
    rising = (seen[:, -1] > seen[:, 0]).float().mean()
    assert 0.35 < rising < 0.65
    width = (seen.max(1).values - seen.min(1).values) * 255 / 7 / 32
    assert 0.2 < width.min() < 0.4
    assert width.max() > 0.7

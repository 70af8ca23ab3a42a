"""Frames of a clip: gathered by number, cut alike, channels split."""

from __future__ import annotations

import torch

from selftaught.ops.frames import gather_frames, jittered_crop, split_channels


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gather_against_loops() -> None:
    video = torch.randint(256, (3, 7, 3, 4, 5), dtype=torch.uint8)
    index = torch.randint(7, (3, 4))
    found = gather_frames(video, index)
    for n in range(3):
        for k in range(4):
            assert torch.equal(found[n, k], video[n, index[n, k]])


def ramps(n: int, k: int, side: int = 40) -> torch.Tensor:
    """Pictures whose value is their column and, in channel 1, their row: a crop says where it was cut."""
    column = torch.arange(side).float().expand(side, side)
    return torch.stack([column, column.T, column], 0).expand(n, k, 3, side, side) / side


def test_without_jitter_all_frames_have_one_window() -> None:
    cut = jittered_crop(ramps(8, 4), 16, rng(), scale=(0.3, 0.8), jitter=0.0)
    assert cut.shape == (8, 4, 3, 16, 16)
    assert torch.allclose(cut, cut[:, :1].expand_as(cut), atol=1e-6)
    assert (cut[0, 0] - cut[1, 0]).abs().max() > 0.05
    mirrored = cut[:, 0, 0, 8, 0] > cut[:, 0, 0, 8, -1]
    assert 0 < mirrored.sum() < 8


def test_jitter_is_small_and_differs_between_frames() -> None:
    cut = jittered_crop(ramps(16, 5), 16, rng(), scale=(0.3, 0.5), jitter=0.04)
    centre = cut.mean((3, 4))
    span = (cut[:, :, 0, :, 0] - cut[:, :, 0, :, -1]).abs().mean((1, 2))
    apart = (centre[:, :, 0].amax(1) - centre[:, :, 0].amin(1)) / span
    assert apart.max() < 0.1
    assert apart.min() > 0


def test_the_window_stays_inside_the_frame() -> None:
    cut = jittered_crop(torch.ones(32, 5, 3, 20, 28), 12, rng(), scale=(0.9, 1.0), jitter=0.3)
    assert torch.allclose(cut, torch.ones_like(cut), atol=1e-5)


def test_split_channels_copies_one_channel() -> None:
    frames = torch.rand(6, 5, 3, 4, 4)
    split = split_channels(frames, rng())
    assert torch.equal(split[:, :, 0], split[:, :, 1])
    assert torch.equal(split[:, :, 0], split[:, :, 2])
    same = torch.stack([(split[:, :, 0] == frames[:, :, c]).flatten(2).all(2) for c in range(3)])
    assert (same.sum(0) == 1).all()
    assert (same.sum((1, 2)) > 0).all()

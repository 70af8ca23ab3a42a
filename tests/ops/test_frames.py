"""Frames of a clip: gathered by number, cut alike, channels split."""

from __future__ import annotations

import pytest
import torch

from selftaught.ops.frames import (
    boxes_within,
    gather_frames,
    jittered_crop,
    shifted_crop,
    split_channels,
    square_boxes,
    square_crops,
    without_bars,
)


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
    """Images whose value is their column and, in channel 1, their row: a crop says where it was cut."""
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


def test_crops_are_squares_of_at_least_the_side_asked_for() -> None:
    areas = torch.tensor([[6.0, 0.0, 40.0, 80.0], [0.0, 10.0, 60.0, 30.0]]).repeat_interleave(2000, 0)
    top, left, height, width = square_boxes(areas, rng(), least_side=0.7).unbind(1)
    assert torch.equal(height, width.abs())
    assert 0.45 < float((width < 0).float().mean()) < 0.55
    share = height / areas[:, 2:].amin(1)
    assert 0.7 <= float(share.min()) < 0.71
    assert 0.99 < float(share.max()) <= 1
    for first, begin, whole in ((top, areas[:, 0], areas[:, 2]), (torch.minimum(left, left + width), *areas.T[[1, 3]])):
        assert bool((first >= begin - 1e-4).all())
        assert bool((first + height <= begin + whole + 1e-4).all())


def test_squares_of_a_clip_are_cut_alike_between_its_bars() -> None:
    video = ramps(4, 3).mul(255).byte()
    video[:, :, :, :8] = 0
    found = square_crops(video, 16, rng(), least_side=0.9)
    assert found.shape == (4, 3, 3, 16, 16)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert float(found[:, :, 1].min()) > 8 / 40


def test_split_channels_copies_one_channel() -> None:
    frames = torch.rand(6, 5, 3, 4, 4)
    split = split_channels(frames, rng())
    assert torch.equal(split[:, :, 0], split[:, :, 1])
    assert torch.equal(split[:, :, 0], split[:, :, 2])
    same = torch.stack([(split[:, :, 0] == frames[:, :, c]).flatten(2).all(2) for c in range(3)])
    assert (same.sum(0) == 1).all()
    assert (same.sum((1, 2)) > 0).all()


def test_a_given_window_is_cut_where_it_is_said() -> None:
    boxes = torch.tensor([[4.0, 10.0, 16.0, 16.0], [0.0, 36.0, 20.0, -20.0]])
    cut = shifted_crop(ramps(2, 3), boxes, 8, rng(), jitter=0.0)
    middle = cut.mean((3, 4)) * 40
    assert torch.allclose(middle[:, :, 0], torch.tensor([[17.5], [25.5]]).expand(2, 3), atol=0.01)
    assert torch.allclose(middle[:, :, 1], torch.tensor([[11.5], [9.5]]).expand(2, 3), atol=0.05)
    assert (cut[1, :, 0, :, 0] > cut[1, :, 0, :, -1]).all()


@pytest.mark.parametrize(
    ("above", "below", "left", "right", "found"),
    [
        (0, 0, 0, 0, (1, 2, 62, 92)),
        (10, 10, 0, 0, (11, 2, 42, 92)),
        (0, 0, 12, 9, (1, 14, 62, 71)),
        (8, 6, 12, 12, (9, 14, 48, 68)),
        (40, 0, 0, 0, (1, 2, 62, 92)),
    ],
    ids=["none", "letterbox", "pillarbox", "both", "dark"],
)
def test_bars_are_cut_off_with_the_pixels_that_touch_them(
    above: int, below: int, left: int, right: int, found: tuple[int, ...]
) -> None:
    """Bars hold noise of a codec; a clip of which little would be left is dark, not barred."""
    video = torch.randint(0, 12, (1, 4, 3, 64, 96), generator=rng(), dtype=torch.uint8)
    inside = video[:, :, :, above : 64 - below, left : 96 - right]
    inside.copy_(torch.randint(0, 256, inside.shape, generator=rng(), dtype=torch.uint8))
    assert without_bars(video)[0].tolist() == list(found)


def test_bars_that_grow_or_come_and_go_are_cut_off_at_their_largest() -> None:
    video = torch.full((3, 4, 3, 64, 64), 100, dtype=torch.uint8)
    video[0, 1, :, :5] = video[0, 2, :, :9] = 0
    video[1, 3, :, :, -7:] = 0
    video[2, 2] = 3
    assert without_bars(video).tolist() == [[10, 1, 53, 62], [1, 1, 62, 55], [1, 1, 62, 62]], (
        "a black frame has no bars"
    )


def test_windows_stay_in_their_areas_with_every_shift() -> None:
    """Each area is white in a black frame, so nothing black is seen."""
    areas = torch.tensor([[4.0, 6.0, 20.0, 30.0], [10.0, 0.0, 12.0, 14.0]]).repeat_interleave(32, 0)
    frames = torch.zeros(64, 3, 3, 40, 44)
    for n, (top, left, height, width) in enumerate(areas.int().tolist()):
        frames[n, :, :, top : top + height, left : left + width] = 1
    cut = jittered_crop(frames, 8, rng(), scale=(0.5, 1.0), jitter=0.3, areas=areas)
    edge = jittered_crop(frames, 8, rng(), scale=(0.5, 1.0), jitter=0.3)
    assert float(cut[..., 1:-1, 1:-1].min()) > 0.999
    assert float(edge[..., 1:-1, 1:-1].min()) < 0.1
    boxes = boxes_within(areas, rng(), scale=(0.2, 0.6))
    for first, begin, length in (
        (boxes[:, 0], 0, boxes[:, 2]),
        (boxes[:, 1] + boxes[:, 3].clamp(max=0), 1, boxes[:, 3]),
    ):
        assert bool((first >= areas[:, begin] - 1e-4).all())
        assert bool((first + length.abs() <= areas[:, begin] + areas[:, begin + 2] + 1e-4).all())


def test_a_black_clip_is_whole() -> None:
    assert without_bars(torch.zeros(1, 2, 3, 8, 10, dtype=torch.uint8)).tolist() == [[0, 0, 8, 10]]

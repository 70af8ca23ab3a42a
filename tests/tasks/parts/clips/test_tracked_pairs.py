"""Tracked pairs: both patches show the thing that moves."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.ops.colour import denormalise
from selftaught.tasks.parts.clips.tracked_pairs import TrackedPairs, shown_track, tracked_pairs
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import crossings, rng


def pairs(video: Tensor, clip: int = 1, least_motion: float = 0.01) -> TrackedPairs:
    settings = {"share": 0.4, "least_motion": least_motion, "colour": 0.0, "degrade": 0.0}
    return tracked_pairs(video, 12, rng(), clip=clip, **settings)


def test_both_patches_show_the_square_that_crosses_the_frame() -> None:
    videos = crossings(range(20), frames=15, side=48, square=14)[0]
    found = pairs(videos)
    assert found.views.shape == (40, 3, 12, 12)
    assert bool((found.moves == 1).all())
    white = (denormalise(found.views).amin(1) > 0.9).float().mean((1, 2)).view(20, 2)
    assert (white > 0.2).float().mean(0).tolist() >= [0.9, 0.7]
    assert found.squares.shape == (20, 15, 4)
    gone = (found.squares[:, -1, 1] - found.squares[:, 0, 1]).abs()
    assert float(gone.median()) > 0.35


def test_still_clips_do_not_move_and_their_patches_are_alike_but_for_the_mirror() -> None:
    found = pairs(still_clips(8))
    assert found.moves.tolist() == [0] * 8
    first, last = found.views.view(8, 2, 3, 12, 12).unbind(1)
    same = [bool(torch.allclose(a, b, atol=0.05)) for a, b in zip(first, last, strict=True)]
    mirrored = [bool(torch.allclose(a, b.flip(2), atol=0.05)) for a, b in zip(first, last, strict=True)]
    assert all(one != other for one, other in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)


def test_the_line_around_a_patch_is_where_it_is() -> None:
    video = torch.zeros(2, 3, 20, 40, dtype=torch.uint8)
    squares = torch.tensor([[0.1, 0.1, 0.5, 0.25], [0.5, 0.75, 0.5, 0.25]])
    drawn = shown_track(video, squares)
    first, second = torch.zeros(2, 20, 40)
    for frame, (top, left) in ((first, (2, 4)), (second, (10, 30))):
        frame[top : top + 10, left : left + 10] = 1
        frame[top + 1 : top + 9, left + 1 : left + 9] = 0
    assert torch.equal(drawn, torch.stack([first, second])[:, None].expand(-1, 3, -1, -1))


def test_short_clips_are_of_both_ends() -> None:
    video = torch.arange(8, dtype=torch.uint8)[None, :, None, None, None].expand(2, 8, 3, 32, 32) * 20 + 40
    found = pairs(video.contiguous(), clip=3)
    assert found.views.shape == (4, 3, 3, 12, 12)
    grey = (denormalise(found.views.transpose(1, 2).flatten(0, 1)).mean((1, 2, 3)) * 255).round().view(2, 2, 3)
    assert grey.tolist() == [[[40, 60, 80], [140, 160, 180]]] * 2

"""Windows of clips: off the border, and shifted within a larger one."""

from __future__ import annotations

import pytest
import torch

from selftaught.ops.crop import crop_resize
from selftaught.ops.windows import inner_areas, shifted_squares


@pytest.mark.parametrize("size", [8, 20, 64])
def test_nothing_of_the_edge_reaches_a_window_within_the_inner_area(size: int) -> None:
    video = torch.full((1, 2, 3, 40, 40), 100, dtype=torch.uint8)
    video[:, :, :, [0, -1]] = video[:, :, :, :, [0, -1]] = 255
    areas = inner_areas(video, size)
    assert float(areas[0, 2]) > 40 - 40 / size - 8
    cut = crop_resize(video[:, 0], areas, size)
    assert torch.allclose(cut, torch.full_like(cut, 100 / 255), atol=2e-3)


@pytest.mark.parametrize("mirrored", [1, -1])
def test_shifted_squares_stay_within_the_larger_one_and_reach_its_sides(mirrored: int) -> None:
    outer = torch.tensor([[4.0, 10 if mirrored == 1 else 40, 30, 30 * mirrored]]).repeat(500, 1)
    top, left, height, width = shifted_squares(outer, 3, torch.Generator().manual_seed(0), jitter=0.1).unbind(2)
    assert torch.allclose(height, torch.tensor(25.0))
    assert torch.equal(width, mirrored * height)
    left = torch.minimum(left, left + width)
    for start, low in ((top, 4), (left, 10)):
        assert low <= float(start.min()) < low + 0.1
        assert low + 4.9 < float(start.max()) <= low + 5
    assert float(torch.corrcoef(torch.stack([top[:, 0], top[:, 1]]))[0, 1].abs()) < 0.15

"""Windows of clips: off the border, shifted within a larger one, and with one blur and noise for a group of frames."""

from __future__ import annotations

import pytest
import torch

from selftaught.ops.clips.windows import BLUR, NOISE, degraded_crop, inner_areas, shifted_squares
from selftaught.ops.crop import crop_resize


@pytest.mark.parametrize("size", [8, 20, 64])
def test_nothing_of_the_edge_reaches_a_window_within_the_inner_area(size: int) -> None:
    flat = torch.full((1, 2, 3, 40, 40), 100, dtype=torch.uint8)
    video = flat.clone()
    video[:, :, :, [0, -1]] = video[:, :, :, :, [0, -1]] = 255
    areas = inner_areas(video, size)
    assert float(areas[0, 2]) > 40 - 40 / size - 8
    assert torch.equal(crop_resize(video[:, 0], areas, size), crop_resize(flat[:, 0], areas, size))


def test_bars_of_any_frame_are_cut_off_and_a_black_frame_is_none() -> None:
    video = torch.full((2, 8, 3, 64, 96), 100, dtype=torch.uint8)
    video[0, 5, :, :8] = 0
    video[0, 6, :, :, -4:] = 0
    video[1, 7] = 0
    # A window of 32 pixels has pixels of two each; what touches a bar is cut off too.
    assert inner_areas(video, 64)[0].tolist() == pytest.approx([9.42, 2.42, 53.16, 87.16], abs=0.01)
    assert inner_areas(video, 32)[1].tolist() == pytest.approx([1.97, 2.97, 60.06, 90.06], abs=0.01)


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


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_strength_it_is_a_crop() -> None:
    frames = torch.randint(256, (3, 2, 3, 20, 24), dtype=torch.uint8, generator=rng())
    boxes = torch.tensor([[1.0, 2, 12, 12], [0, 20, 10, -10], [4, 4, 16, 16]])
    found = degraded_crop(frames, boxes, 8, rng(), strength=0)
    for group in range(3):
        for number in range(2):
            assert torch.equal(found[group, number], crop_resize(frames[group, number, None], boxes[group, None], 8)[0])


def test_noise_is_of_one_strength_in_a_group_and_of_any_between_them() -> None:
    grey = torch.full((400, 2, 3, 16, 16), 128, dtype=torch.uint8)
    found = degraded_crop(grey, torch.tensor([[0.0, 0, 16, 16]]).repeat(400, 1), 16, rng())
    spread = found.std((2, 3, 4))
    assert torch.allclose(spread[:, 0], spread[:, 1], atol=0.012)
    assert float(spread.min()) < 0.03 * NOISE
    assert float(spread.max()) < 1.1 * NOISE
    assert abs(float(spread.mean()) - NOISE / 2) < 0.05 * NOISE


def test_blur_takes_away_detail_by_its_sigma() -> None:
    """The sine of a wavelength of 8 pixels keeps exp(-(2 pi sigma / 8)^2 / 2) of its height: at most all of it."""
    x = torch.arange(64) * (2 * torch.pi / 8)
    wave = (0.5 + 0.2 * x.sin()).expand(300, 1, 1, 64, 64).contiguous()
    found = degraded_crop(wave, torch.tensor([[0.0, 0, 64, 64]]).repeat(300, 1), 64, rng(1))
    # Means of columns have an eighth of the noise.
    height = found.mean((1, 2, 3))[:, 8:-8].std(1) * 2**0.5 / 0.2
    least = float(torch.tensor(-((2 * torch.pi * BLUR / 8) ** 2) / 2).exp())
    assert least - 0.02 < float(height.min()) < least + 0.05
    assert 0.97 < float(height.max()) < 1.05

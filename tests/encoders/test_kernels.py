"""The kernels of the first convolution, each in its own range."""

from __future__ import annotations

import torch
from torch import nn

from selftaught.core.randomness import generator
from selftaught.encoders.kernels import MOST, first_kernels, kernel_columns


def test_each_kernel_fills_its_own_range() -> None:
    first = nn.Conv2d(3, 5, 3)
    kernels = first_kernels(nn.Sequential(first, nn.Conv2d(5, 4, 3)))
    assert kernels is not None
    for weight, shown in zip(first.weight.detach(), kernels, strict=True):
        expected = (weight - weight.min()) / (weight.max() - weight.min())
        assert torch.allclose(shown, expected, atol=1e-6)


def test_clips_sound_and_no_convolution() -> None:
    clips, sound = nn.Conv3d(3, 2, (5, 3, 3)), nn.Conv2d(1, 2, 3)
    with torch.no_grad():
        clips.weight.copy_(torch.randn(clips.weight.shape, generator=generator("kernels")))
    shown = first_kernels(clips)
    assert shown is not None
    middle = clips.weight.detach()[0, :, 2]
    assert torch.allclose(shown[0], (middle - middle.min()) / (middle.max() - middle.min()), atol=1e-6)
    grey = first_kernels(sound)
    assert grey is not None
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert first_kernels(nn.Linear(3, 2)) is None


def test_a_sheet_of_kernels_is_about_twice_as_wide_as_high() -> None:
    assert [kernel_columns(count) for count in (1, 2, 8, 64, 96)] == [2, 2, 4, 12, 14]
    shown = first_kernels(nn.Conv2d(3, MOST + 5, 1))
    assert shown is not None
    assert len(shown) == MOST

"""Frames from codes: sides, layers and range."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selftaught.tasks.parts.clips.frame_generator import FrameGenerator, UpConvolutions


def test_layers_are_those_of_dcgan() -> None:
    """As VideoGAN's background and MoCoGAN's frames have them: main.lua and models.py of their authors."""
    convs = [module for module in FrameGenerator(100, side=64).modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert {(c.kernel_size, c.stride, c.padding) for c in convs} == {((4, 4), (2, 2), (1, 1))}


@pytest.mark.parametrize("side", [8, 16, 24, 50])
def test_frames_have_the_side_asked_for_and_stay_in_range(side: int) -> None:
    torch.manual_seed(0)
    frames = FrameGenerator(4, side=side, width=16)
    for parameter in frames.parameters():
        parameter.data *= 20
    found = frames(torch.randn(3, 4)).detach()
    assert found.shape == (3, 3, side, side)
    assert -1 <= float(found.min()) < -0.9
    assert 0.9 < float(found.max()) <= 1


def test_nothing_comes_after_the_last_layer() -> None:
    layers = UpConvolutions(16, 5, side=16).layers
    assert isinstance(layers[-1], nn.ConvTranspose2d)
    assert layers[-1].bias is not None
    assert [layer.bias is None for layer in layers if isinstance(layer, nn.ConvTranspose2d)] == [True, False]

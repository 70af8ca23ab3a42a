"""Heads that tasks share: their shapes, their widths and how they begin."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selftaught.ops.colour import denormalise
from selftaught.tasks.parts.heads import Decoder, Generator, projection_head


def test_a_projection_is_two_layers_with_relu_between() -> None:
    head = projection_head(6, 5, 4)
    x = torch.randn(3, 6)
    first, last = head[0], head[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    expected = (x @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    assert torch.allclose(head(x), expected, atol=1e-6)


@pytest.mark.parametrize(("start", "side"), [(4, 32), (7, 28), (4, 48), (3, 32), (8, 8)])
def test_a_decoder_ends_at_the_side_of_the_image(start: int, side: int) -> None:
    decoder = Decoder(10, start, out=3, side=side, width=64)
    assert decoder(torch.randn(2, 10, start, start)).shape == (2, 3, side, side)
    doublings = [module for module in decoder if isinstance(module, nn.ConvTranspose2d)]
    assert start * 2 ** len(doublings) >= side > start * 2 ** (len(doublings) - 1)
    widths = [64, *(module.out_channels for module in doublings)]
    assert widths == [max(32, 64 >> i) for i in range(len(widths))]


@pytest.mark.parametrize(("side", "start"), [(32, 4), (28, 7), (96, 6), (30, 4)])
def test_a_generator_begins_with_a_small_map_and_gives_images_in_range(side: int, start: int) -> None:
    torch.manual_seed(0)
    made = Generator(8, side=side, width=64)
    images = made(torch.randn(4, 8))
    assert images.shape == (4, 3, side, side)
    shown = denormalise(images.detach())
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 1
    linear = made.project[0]
    assert isinstance(linear, nn.Linear)
    assert linear.out_features == 64 * start**2
    assert abs(float(linear.weight.detach().std()) - 0.02) < 0.002

"""ConvLSTM against its equations, place by place, and the stacks that read and go on."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from selftaught.tasks.parts.clips.conv_lstm import ConvLSTM, Forecaster


def squash(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def convolved(conv: nn.Conv2d, x: Tensor, channel: int, row: int, column: int) -> float:
    """One value of a 3 x 3 convolution of (C, h, w), zeros beyond the edge."""
    total = 0.0 if conv.bias is None else float(conv.bias[channel])
    for c in range(x.shape[0]):
        for i in range(3):
            for j in range(3):
                y, z = row + i - 1, column + j - 1
                if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                    total += float(conv.weight[channel, c, i, j]) * float(x[c, y, z])
    return total


@pytest.mark.parametrize("side", [2, 0])
def test_equations_as_loops(side: int) -> None:
    torch.manual_seed(0)
    made = ConvLSTM(1, 2, kernel=3, side=side)
    if made.peephole is not None:
        nn.init.normal_(made.peephole)
    assert made.of_input is not None
    inputs = torch.randn(1, 2, 1, 2, 2)
    hidden, cell = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    made.requires_grad_(False)
    found, (last_hidden, last_cell) = made(inputs)
    for t in range(2):
        new_hidden, new_cell = hidden.clone(), cell.clone()
        for w in range(2):
            for y in range(2):
                for x in range(2):
                    i, f, g, o = (
                        convolved(made.of_input, inputs[0, t], 2 * gate + w, y, x)
                        + convolved(made.of_state, hidden, 2 * gate + w, y, x)
                        for gate in range(4)
                    )
                    peep = [0.0] * 3 if made.peephole is None else [float(p[w, y, x]) for p in made.peephole]
                    before = float(cell[w, y, x])
                    after = squash(f + peep[1] * before) * before + squash(i + peep[0] * before) * math.tanh(g)
                    new_cell[w, y, x] = after
                    new_hidden[w, y, x] = squash(o + peep[2] * after) * math.tanh(after)
        hidden, cell = new_hidden, new_cell
        torch.testing.assert_close(found[0, t], hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(last_hidden[0], hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(last_cell[0], cell, atol=1e-5, rtol=1e-5)


def test_a_sequence_in_parts_is_the_whole() -> None:
    torch.manual_seed(0)
    made = ConvLSTM(2, 3, kernel=5, side=4)
    inputs = torch.randn(2, 5, 2, 4, 4)
    whole, end = made(inputs)
    first, state = made(inputs[:, :3])
    rest, other_end = made(inputs[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
    torch.testing.assert_close(other_end, end)


def test_the_forecaster_goes_on_from_the_last_states_and_draws_squares_of_pixels() -> None:
    torch.manual_seed(0)
    made = Forecaster(2, 4, width=3, layers=2, kernel=3, patch=2)
    maps = torch.randn(2, 3, 2, 4, 4)
    logits = made(maps, 4)
    assert logits.shape == (2, 4, 3, 8, 8)
    first, state_1 = made.read[0](maps)
    _, state_2 = made.read[1](first)
    for k in range(4):
        state_1 = made.go_on[0].step(None, state_1)  # type: ignore[operator]
        layer = made.go_on[1]
        state_2 = layer.step(layer.of_input(state_1[0]), state_2)  # type: ignore[operator]
        conv = made.pixels[0]
        flat = conv(torch.cat([state_1[0], state_2[0]], 1))
        for c in range(3):
            for y in range(8):
                pixel = flat[:, 4 * c + 2 * (y % 2) + 1, y // 2, 3]
                torch.testing.assert_close(logits[:, k, c, y, 7], pixel, atol=1e-5, rtol=1e-5)

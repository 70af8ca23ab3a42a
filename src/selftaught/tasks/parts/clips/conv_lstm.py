"""ConvLSTM (Shi, Chen, Wang, Yeung, Wong, Woo, NIPS 2015, https://arxiv.org/abs/1506.04214)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden state H and cell C, (N, width, h, w) each."""


class ConvLSTM(nn.Module):
    """An LSTM whose states are maps and whose products with weights are convolutions (the paper's eq. 3).

    i = s(Wxi * X + Whi * H + Wci o C + bi), f likewise; C' = f o C + i o tanh(Wxc * X + Whc * H + bc);
    o = s(Wxo * X + Who * H + Wco o C' + bo); H' = o o tanh(C'), with * a convolution and o the product of elements.

    Args:
        channels: of the input; 0 for one without an input.
        width: channels of the states.
        kernel: side of all kernels, odd.
        side: of the maps, for the peephole weights Wc, which start at 0; 0 leaves them out.
    """

    def __init__(self, channels: int, width: int, *, kernel: int, side: int = 0) -> None:
        super().__init__()
        self.width = width
        self.of_input = nn.Conv2d(channels, 4 * width, kernel, padding=kernel // 2, bias=False) if channels else None
        self.of_state = nn.Conv2d(width, 4 * width, kernel, padding=kernel // 2)
        self.peephole = nn.Parameter(torch.zeros(3, width, side, side)) if side else None
        assert self.of_state.bias is not None
        # A gate that begins open keeps the gradient over many steps (Gers et al. 2000).
        nn.init.ones_(self.of_state.bias.detach()[width : 2 * width])

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """A sequence (N, T, channels, h, w) -> hidden states (N, T, width, h, w) and the last state.

        Without an input, `inputs` says only how many steps there are: (N, T, 0, h, w).
        """
        n, steps = inputs.shape[:2]
        if state is None:
            zero = inputs.new_zeros(n, self.width, *inputs.shape[-2:])
            state = (zero, zero)
        # The convolution of all inputs is one; only that of the state has to wait for the step before.
        terms = self.of_input(inputs.flatten(0, 1)).unflatten(0, (n, steps)) if self.of_input is not None else None
        found = []
        for step in range(steps):
            state = self.step(None if terms is None else terms[:, step], state)
            found.append(state[0])
        return torch.stack(found, 1), state

    def step(self, term: Tensor | None, state: State) -> State:
        """One step; `term` (N, 4 width, h, w) is the convolved input, in the order i, f, c, o."""
        hidden, cell = state
        sums = self.of_state(hidden)
        enter, forget, new, leave = (sums if term is None else sums + term).chunk(4, 1)
        if self.peephole is not None:
            enter, forget = enter + self.peephole[0] * cell, forget + self.peephole[1] * cell
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        leave = leave if self.peephole is None else leave + self.peephole[2] * cell
        return leave.sigmoid() * cell.tanh(), cell


class Forecaster(nn.Module):
    """Stacked ConvLSTMs that read a sequence of maps, and as many that go on from their last states without an input.

    All hidden states of a step of the second stack -> 1 x 1 convolution -> `patch` x `patch` pixels for each place.

    Args:
        channels: of the maps.
        side: of the maps; frames have `patch` times that.
        width: channels of the states.
        layers: in each stack.
        kernel: side of the kernels.
        patch: side of the square of pixels that a place stands for.
    """

    def __init__(self, channels: int, side: int, *, width: int, layers: int, kernel: int, patch: int) -> None:
        super().__init__()
        inputs = [channels] + [width] * (layers - 1)
        self.read = nn.ModuleList(ConvLSTM(c, width, kernel=kernel, side=side) for c in inputs)
        self.go_on = nn.ModuleList(
            ConvLSTM(width if layer else 0, width, kernel=kernel, side=side) for layer in range(layers)
        )
        self.pixels = nn.Sequential(nn.Conv2d(layers * width, 3 * patch**2, 1), nn.PixelShuffle(patch))

    def forward(self, maps: Tensor, steps: int) -> Tensor:
        """Maps (N, T, C, h, w) -> logits of the pixels of frames (N, steps, 3, h patch, w patch)."""
        states = []
        for layer in self.read:
            maps, state = layer(maps)
            states.append(state)
        hidden, found = maps.new_zeros(len(maps), steps, 0, *maps.shape[-2:]), []
        for layer, state in zip(self.go_on, states, strict=True):
            hidden, _ = layer(hidden, state)
            found.append(hidden)
        logits: Tensor = self.pixels(torch.cat(found, 2).flatten(0, 1)).unflatten(0, (len(maps), steps))
        return logits

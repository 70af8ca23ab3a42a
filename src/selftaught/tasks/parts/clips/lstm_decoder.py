"""LSTM decoder of frames (Srivastava, Mansimov, Salakhutdinov, ICML 2015, https://arxiv.org/abs/1502.04681)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selftaught.tasks.parts.discriminators import strided_convolutions
from selftaught.tasks.parts.heads import Decoder

START = 4
"""Side of the map from which a frame is drawn."""


class LSTMDecoder(nn.Module):
    """Features of a whole clip -> frames, one a step.

    The state of the LSTM begins as a linear function of the features. Its input is nothing or, where it is conditional,
    the frame before: the true one in training, the generated one in evaluation, and black at first.

    Args:
        features: length of the features.
        size: side S of the frames.
        width: units of the LSTM; half as many are the channels of the first map of a frame, which halve with each
            doubling of the side.
        conditional: whether it sees the frame before.
    """

    def __init__(self, features: int, size: int, *, width: int, conditional: bool) -> None:
        super().__init__()
        self.start = nn.Linear(features, 2 * width)
        self.look = _frame_code(size, width) if conditional else None
        self.lstm = nn.LSTM(width if conditional else 1, width, batch_first=True)
        channels = max(1, width // 2)
        self.place = nn.Sequential(nn.Linear(width, channels * START**2), nn.Unflatten(1, (channels, START, START)))
        self.draw = Decoder(channels, START, out=3, side=size, width=channels)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """Features (N, D) and the true frames (N, T, 3, S, S) in [0, 1] -> logits of the pixels, of the same shape."""
        n, steps = frames.shape[:2]
        state = tuple(x.contiguous()[None] for x in self.start(features).tanh().chunk(2, 1))
        if self.look is None:
            # An input of 1 is no more than the bias.
            found, _ = self.lstm(features.new_ones(n, steps, 1), state)
            return self._drawn(found)
        first = torch.zeros_like(frames[:, :1])
        if self.training:
            before = torch.cat([first, frames[:, :-1]], 1)
            found, _ = self.lstm(self.look(before.flatten(0, 1)).unflatten(0, (n, steps)), state)
            return self._drawn(found)
        logits: list[Tensor] = []
        for _ in range(steps):
            seen = logits[-1].sigmoid() if logits else first
            found, state = self.lstm(self.look(seen[:, 0])[:, None], state)
            logits.append(self._drawn(found))
        return torch.cat(logits, 1)

    def _drawn(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.draw(self.place(hidden.flatten(0, 1))).unflatten(0, hidden.shape[:2])
        return logits


def _frame_code(size: int, width: int) -> nn.Sequential:
    """A frame (N, 3, S, S) in [0, 1] -> (N, width)."""
    layers, last = strided_convolutions(size, width=32, norm=nn.BatchNorm2d)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(START), nn.Flatten(), nn.Linear(last * START**2, width))

"""From codes to frames, by the generator of DCGAN (Radford, Metz, Chintala, ICLR 2016)."""

from __future__ import annotations

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.tasks.parts.heads import start_of


class UpConvolutions(nn.Module):
    """Map (N, width, start, start) -> (N, out, side, side): 4 x 4 transposed convolutions of stride 2.

    The channels halve with every doubling; all but the last have batch normalisation and ReLU after them, and nothing
    comes after the last. Where the side is not a power of two times the start, the result is resized.
    """

    def __init__(self, width: int, out: int, *, side: int) -> None:
        super().__init__()
        self.side = side
        doublings = math.ceil(math.log2(side / start_of(side)))
        widths = [max(1, width >> i) for i in range(doublings)]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [_doubling(before, after, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, _doubling(widths[-1], out, bias=True))

    def forward(self, maps: Tensor) -> Tensor:
        pixels: Tensor = self.layers(maps)
        if pixels.shape[-1] != self.side:
            pixels = F.interpolate(pixels, size=(self.side, self.side), mode="bilinear", align_corners=False)
        return pixels


class FrameGenerator(nn.Module):
    """Codes (N, Z) -> frames (N, 3, side, side) in [-1, 1].

    Linear to a map of 4 x 4, or up to 7 x 7 where that doubles exactly to the side, batch normalisation and ReLU;
    `UpConvolutions`; hyperbolic tangent. `width` is the number of channels of the first map, 512 for most video GANs.
    """

    def __init__(self, code: int, *, side: int, width: int = 512) -> None:
        super().__init__()
        start = start_of(side)
        self.project = nn.Linear(code, width * start**2, bias=False)
        self.first = nn.Sequential(nn.Unflatten(1, (width, start, start)), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.up = UpConvolutions(width, 3, side=side)

    def forward(self, codes: Tensor) -> Tensor:
        frames: Tensor = self.up(self.first(self.project(codes))).tanh()
        return frames


def _doubling(before: int, after: int, *, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)

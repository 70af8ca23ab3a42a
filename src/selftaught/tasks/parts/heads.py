"""Heads that two or more tasks share."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from selftaught.ops.colour import normalise


def projection_head(num_features: int, hidden: int, out: int) -> nn.Sequential:
    """Linear, ReLU, linear: "a MLP with one hidden layer" (SimCLR, Chen et al. 2020, section 2.1)."""
    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))


class Decoder(nn.Sequential):
    """From a feature map back to pixels: up-convolutions that double the side until the image's is reached.

    Each is a 4 x 4 transposed convolution of stride 2 with batch normalisation and ReLU, the channels halving from
    `width` down to 32 (Radford et al. 2015; Pathak et al. 2016); a 3 x 3 convolution gives the result.

    (N, channels, from_side, from_side) -> (N, out, side, side), without a last non-linearity.
    """

    def __init__(self, channels: int, from_side: int, *, out: int, side: int, width: int = 256) -> None:
        doublings = max(0, math.ceil(math.log2(side / from_side)))
        widths = [max(32, width >> i) for i in range(doublings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 1, bias=False), *_normalised(widths[0])]
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), *_normalised(after)]
        if from_side << doublings != side:
            layers.append(nn.Upsample((side, side), mode="bilinear", align_corners=False))
        super().__init__(*layers, nn.Conv2d(widths[-1], out, 3, padding=1))


class Generator(nn.Module):
    """From a code to an image, by DCGAN (Radford et al. 2016, figure 1): linear to a small map, then a `Decoder`.

    The map is 4 x 4, or up to 7 x 7 where that doubles exactly to the image's side; `width` is its channels, 1024 in
    the paper at side 64. Convolutions start as N(0, 0.02), as there. A hyperbolic tangent keeps every pixel in the
    range of real ones.

    Codes (N, Z) -> images (N, 3, side, side), normalised as the encoder takes them.
    """

    def __init__(self, code: int, *, side: int, width: int = 512) -> None:
        super().__init__()
        start = start_of(side)
        self.project = nn.Sequential(
            nn.Linear(code, width * start**2, bias=False),
            nn.Unflatten(1, (width, start, start)),
            *_normalised(width),
        )
        self.decoder = Decoder(width, start, out=3, side=side, width=width)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, codes: Tensor) -> Tensor:
        pixels = self.decoder(self.project(codes))
        return normalise(0.5 + 0.5 * torch.tanh(pixels.to(torch.promote_types(pixels.dtype, torch.float32))))


def start_of(side: int) -> int:
    """Side of the map that images begin with: 4 to 7 where that doubles exactly to `side`, else 4."""
    start = side
    while start % 2 == 0 and start >= 8:
        start //= 2
    return start if 4 <= start <= 7 else 4


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)

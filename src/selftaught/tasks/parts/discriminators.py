"""Discriminators: networks that separate real from generated images."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor, nn


def strided_convolutions(
    side: int, *, width: int, norm: Callable[[int], nn.Module], channels: int = 3
) -> tuple[list[nn.Module], int]:
    """Layers that halve images (N, channels, side, side) down to a map of about 4 x 4, and its channels: as in DCGAN.

    Convolutions are 4 x 4 with stride 2, the channels doubling from `width` up to eight times that; all but the first
    are normalised by `norm(channels)`, all are followed by a leaky ReLU of slope 0.2 (Radford et al. 2015).
    """
    halvings = halvings_of(side)
    widths = [min(width << i, 8 * width) for i in range(halvings)]
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    for before, after in itertools.pairwise(widths):
        layers += [
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
            norm(after),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return layers, widths[-1]


def halvings_of(side: int) -> int:
    """Number of halvings of an image's side until it is about 4, at least 1."""
    return max(1, (side // 4).bit_length() - 1)


class Discriminator(nn.Module):
    """`strided_convolutions` with batch normalisation and one linear unit, as in DCGAN (Radford et al. 2015).

    (N, channels, side, side), values in [-1, 1] -> logits (N,), above 0 for real.
    """

    def __init__(self, side: int, *, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        layers, last = strided_convolutions(side, width=width, norm=nn.BatchNorm2d, channels=channels)
        self.trunk = nn.Sequential(*layers)
        self.logit = nn.Linear(last * (side >> halvings_of(side)) ** 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward_features(self, pictures: Tensor) -> Tensor:
        """The last map, (N, C, h, h)."""
        features: Tensor = self.trunk(pictures)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N,) of that map."""
        logits: Tensor = self.logit(features.flatten(1))
        return logits[:, 0]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.classify(self.forward_features(pictures))

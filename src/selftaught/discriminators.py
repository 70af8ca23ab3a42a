"""Networks that tell real pictures from made ones, for tasks whose decoder learns against one."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn


class Discriminator(nn.Module):
    """Strided convolutions down to a map of about 4 x 4 and one linear unit, as in DCGAN (Radford et al. 2015).

    Convolutions are 4 x 4 with stride 2, the channels doubling from `width` up to eight times that; all but the first
    are batch-normalised, all are followed by a leaky ReLU of slope 0.2.

    (N, channels, side, side), values in [-1, 1] -> logits (N,), above 0 where the picture seems real.
    """

    def __init__(self, side: int, *, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        halvings = max(1, int(math.log2(side / 4)))
        widths = [min(width << i, 8 * width) for i in range(halvings)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for before, after in itertools.pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.trunk = nn.Sequential(*layers)
        self.logit = nn.Linear(widths[-1] * (side >> halvings) ** 2, 1)
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

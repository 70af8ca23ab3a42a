"""Networks on two images: how the camera moved between them, and flow that its motion does not explain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.ops.depth.camera import motion_matrix

SMALL = 0.01
"""Factor of what the last layer gives, by which motions are small at first (Zhou et al., CVPR 2017, their code)."""


class MotionNetwork(nn.Module):
    """From two images to the motion between their cameras, and which pixels it can explain (Zhou et al., CVPR 2017).

    Five convolutions of stride 2, kernels 7, 5, 3, 3, 3, channels from `width` to 16 times that; a sixth, and the mean
    of a linear map over all places gives translation and rotation vector. Where `scales` is not 0, transposed
    convolutions from the fifth give logits of masks at so many resolutions.

    Pairs (M, 6, S, S) -> motions (M, 4, 4) from the axes of the first camera to those of the second, and `scales` masks
    (M, 1, S / 2^k, S / 2^k), k = 0 first.
    """

    def __init__(self, size: int, *, width: int = 16, scales: int = 0) -> None:
        super().__init__()
        widths = [width << step for step in range(5)]
        layers = zip((6, *widths), widths, (7, 5, 3, 3, 3), strict=False)
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, kernel, stride=2, padding=kernel // 2), nn.ReLU()) for a, b, kernel in layers
        )
        self.pose = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.ReLU(), nn.Conv2d(widths[-1], 6, 1)
        )
        self.sides = [size]
        for _ in range(4):
            self.sides.append(-(-self.sides[-1] // 2))
        self.scales = scales
        self.up, self.masks = nn.ModuleList(), nn.ModuleList()
        for step, (before, after) in enumerate(zip(widths[::-1], (*widths[-2::-1], width), strict=True)):
            if scales:
                self.up.append(nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU()))
            if 5 - step <= scales:
                self.masks.append(nn.Conv2d(after, 1, 3, padding=1))

    def forward(self, pairs: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = pairs
        for layer in self.down:
            x = layer(x)
        motion = motion_matrix(SMALL * self.pose(x).float().mean((2, 3)))
        masks: list[Tensor] = []
        for step, layer in enumerate(self.up):
            side = self.sides[4 - step]
            x = layer(F.interpolate(x, (side, side), mode="nearest"))
            if 5 - step <= self.scales:
                masks.append(self.masks[len(masks)](x))
        return motion, masks[::-1]


class ResidualFlow(nn.Module):
    """Flow beyond that of the camera's motion, from two images, the second one warped, the flow and what it leaves
    unexplained (ResFlowNet of GeoNet: Yin and Shi, CVPR 2018).

    (M, 12, S, S) -> (M, 2, S, S) in pixels, 0 at first.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU())
            for a, b in ((12, width), (width, 2 * width), (2 * width, 4 * width))
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU())
            for a, b in ((6 * width, 2 * width), (3 * width, width), (width + 12, width))
        )
        self.last = nn.Conv2d(width, 2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        finer = [x]
        for layer in self.down:
            finer.append(layer(finer[-1]))
        x = finer.pop()
        for layer in self.up:
            other = finer.pop()
            x = layer(torch.cat([F.interpolate(x, other.shape[-2:], mode="nearest"), other], 1))
        flow: Tensor = self.last(x)
        return flow

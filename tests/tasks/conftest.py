"""Networks small enough to learn in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder


class Blocks(Encoder):
    """Blocks one after the other, each a stage; the last one gives the features."""

    blocks: nn.ModuleList

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for stage, block in zip(self.stages, self.blocks, strict=True):
            found[stage] = x = block(x)
        return found

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return self.blocks[self.stages.index(stage)], 1

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)[self.stages[-1]]


class TinyEncoder(Blocks):
    """Images (N, 3, H, W) -> (N, 64), three convolutions of stride 2, pooled on a 2 x 2 grid."""

    name = "tiny"
    kind: Literal["image"] = "image"
    num_features = 64
    stages = ("conv1", "conv2", "conv3")

    def __init__(self) -> None:
        super().__init__()
        widths = zip((3, 16, 32), (16, 32, 16), strict=True)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(self.forward_features(x), 2).flatten(1)


class TinyClipEncoder(Blocks):
    """Clips (N, 3, T, H, W) -> (N, 64), two convolutions over time and space, pooled on a 2 x 2 grid."""

    name = "tiny clips"
    kind: Literal["video"] = "video"
    num_features = 64
    stages = ("conv1", "conv2")

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv3d(a, b, 3, stride=(1, 2, 2), padding=1), nn.BatchNorm3d(b), nn.ReLU())
            for a, b in ((3, 16), (16, 16))
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool3d(self.forward_features(x), (1, 2, 2)).flatten(1)


@pytest.fixture
def tiny_encoder() -> Callable[[], Encoder]:
    """A fresh small encoder, the same each time."""

    def make() -> Encoder:
        torch.manual_seed(0)
        return TinyEncoder()

    return make


@pytest.fixture
def tiny_clip_encoder() -> Callable[[], Encoder]:
    """A fresh small encoder of clips, the same each time."""

    def make() -> Encoder:
        torch.manual_seed(0)
        return TinyClipEncoder()

    return make

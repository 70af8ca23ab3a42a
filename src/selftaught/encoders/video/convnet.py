"""The ConvNet of clips of Generating Videos with Scene Dynamics (Vondrick, Pirsiavash, Torralba, NIPS 2016)."""

from __future__ import annotations

from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS

WIDTHS = (64, 128, 256, 512)
"""Channels of the four convolutions, as published."""
SLOPE = 0.2
"""Of the leaky ReLU for negative numbers."""


@final
class VideoConvNet(Encoder):
    """Clips (N, channels, T, H, W) -> (N, 512): the discriminator of VideoGAN and of TGAN without its last layer.

    Four convolutions of 4 x 4 x 4 with stride 2 in time and space, each followed by batch normalisation, except the
    first, and a leaky ReLU; then the mean over all positions. With the last layer of the task that trains it these are
    the five layers published (https://github.com/cvondrick/videogan, main.lua), where that layer is a convolution over
    all positions of the last map, 2 x 4 x 4 for 32 frames of 64 x 64 pixels. With the small stem the first convolution
    keeps the side of the frames, by 4 x 3 x 3 at stride (2, 1, 1).
    """

    kind: Literal["video"] = "video"

    def __init__(
        self,
        name: str,
        stages: tuple[str, ...],
        *,
        stem: str,
        channels: int = COLOURS,
    ) -> None:
        super().__init__()
        self.name = name
        self.stages = stages
        self.stem = stem
        self.channels = channels
        self.num_features = WIDTHS[-1]
        steps = zip((channels, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.ModuleDict(
            {
                stage: _block(before, after, is_first=i == 0, side=3 if i == 0 and stem == "small" else 4)
                for i, (stage, (before, after)) in enumerate(zip(stages, steps, strict=True))
            }
        )

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return self.blocks[stage], 1

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        """(N, C, T / 2 ** k, H / 2 ** k, W / 2 ** k) of each convolution k = 1 ... 4, rounded down, at least 1."""
        x, features = self.seen(x), dict[str, Tensor]()
        for stage, block in self.blocks.items():
            features[stage] = x = block(x)
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)[self.stages[-1]]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3, 4))


class _Halving(nn.ModuleList):
    """Convolution and what follows it; an axis of one position gets a zero at its end, to be as long as is needed."""

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[2]
        missing = [max(0, 2 - side) for side in x.shape[3:]]
        if torch.compiler.is_compiling():  # an exported network takes clips of any length
            x = self._through(F.pad(x, (0, missing[1], 0, missing[0], 0, 1)))
            return x[:, :, : torch.sym_max(1, length // 2)]
        missing.insert(0, max(0, 2 - length))
        if any(missing):
            x = F.pad(x, [part for extra in reversed(missing) for part in (0, extra)])
        return self._through(x)

    def _through(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


def build_video_convnet(info: EncoderInfo, *, stem: str, channels: int = COLOURS) -> VideoConvNet:
    """The network with fresh weights from torch's default generator; `stem` is "standard" or "small"."""
    return VideoConvNet(info.name, info.stages, stem=stem, channels=channels)


def _block(before: int, after: int, *, is_first: bool, side: int) -> nn.Module:
    """Weights and gains are drawn as published."""
    step = 2 if side == 4 else 1
    conv = nn.Conv3d(before, after, (4, side, side), stride=(2, step, step), padding=1, bias=is_first)
    nn.init.normal_(conv.weight, std=0.01)
    layers: list[nn.Module] = [conv]
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    else:
        norm = nn.BatchNorm3d(after, eps=1e-3)
        nn.init.normal_(norm.weight, 1.0, 0.02)
        layers.append(norm)
    return _Halving([*layers, nn.LeakyReLU(SLOPE, inplace=True)])

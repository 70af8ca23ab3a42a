"""A small ConvNet for audio, after the audio half of Look, Listen and Learn (Arandjelovic, Zisserman, ICCV 2017)."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn

from selftaught.core.names import unknown_name
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import encoder_names

WIDTHS = (64, 128, 256, 512)
"""Channels of the four blocks, as in the paper."""
_LEAST = 2 ** len(WIDTHS)
"""Mels and time steps of which the stride and the three poolings leave something."""


@final
class AudioConvNet(Encoder):
    """Log-mel images (N, 1, mels, steps) -> (N, 512): four blocks of two 3 x 3 convolutions, BN and ReLU.

    2 x 2 max pooling stands between the blocks and the maximum over all positions at the end, as in the paper, so that
    any length of audio gives one vector. Unlike there, the very first convolution has stride 2, which makes the network
    four times as fast. The stages are the blocks before their pooling.
    """

    kind: Literal["audio"] = "audio"
    channels = 1

    def __init__(self, name: str, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.name = name
        self.num_features = widths[-1]
        self.stages = tuple(f"conv{i}" for i in range(1, len(widths) + 1))
        steps = zip((1, *widths), widths, strict=False)
        self.blocks = nn.ModuleDict(
            {
                stage: _block(wide_in, wide_out, stride=2 if wide_in == 1 else 1)
                for stage, (wide_in, wide_out) in zip(self.stages, steps, strict=True)
            }
        )
        self.pool = nn.MaxPool2d(2)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        """(N, C, mels / 2 ** k, steps / 2 ** k) of every block k = 1 ... 4."""
        if min(x.shape[-2:]) < _LEAST:
            raise ValueError(
                f"encoder '{self.name}' needs at least {_LEAST} mels and {_LEAST} time steps, got {tuple(x.shape[-2:])}"
            )
        features: dict[str, Tensor] = {}
        for stage, block in self.blocks.items():
            x = block(self.pool(x) if features else x)
            features[stage] = x
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)[self.stages[-1]]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).amax((2, 3))


def build_audio_encoder(name: str = "audio_convnet") -> AudioConvNet:
    """An audio encoder with fresh weights from torch's default generator."""
    known = [info.name for info in encoder_names() if info.kind == "audio"]
    if name not in known:
        raise ValueError(unknown_name("encoder for sound", name, known))
    return AudioConvNet(name)


def _block(wide_in: int, wide_out: int, *, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, step in ((wide_in, stride), (wide_out, 1)):
        conv = nn.Conv2d(wide, wide_out, 3, stride=step, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        layers += [conv, nn.BatchNorm2d(wide_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)

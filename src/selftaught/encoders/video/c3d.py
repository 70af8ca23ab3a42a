"""C3D (Tran, Bourdev, Fergus, Torresani, Paluri, ICCV 2015, https://arxiv.org/abs/1412.0767)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder

WIDTHS = {
    "conv1": 64, "conv2": 128, "conv3a": 256, "conv3b": 256, "conv4a": 512, "conv4b": 512, "conv5a": 512, "conv5b": 512
}  # fmt: skip
"""Layer -> its channels, as published; every kernel is 3 x 3 x 3."""
POOLED = {"conv1": (1, 2, 2), "conv2": (2, 2, 2), "conv3b": (2, 2, 2), "conv4b": (2, 2, 2)}
"""Layers that are max-pooled afterwards -> the window, which is also the stride, over T, H and W."""


class C3D(nn.Module):
    """The eight convolutions of C3D, 27.7 million parameters: clips (N, channels, T, H, W) -> (N, 512).

    Each is followed by a ReLU. What the paper puts on top, a fifth pooling and fully connected layers for clips of 16
    frames of 112 x 112 pixels, is replaced by the mean over all positions, so clips of any size and length come
    through; pooling rounds up, as in the Caffe of the paper.

    Parameters have the names of the PyTorch ports of the weights of Sports-1M, `conv1.weight` ... `conv5b.bias`, as in
    https://github.com/DavideA/c3d-pytorch; `fc6`, `fc7` and `fc8` of such files are left out. These weights were
    trained on colours from 0 to 255, and take normalised images after `w["conv1.weight"] *= 255 * std`, with the
    standard deviations of ImageNet as (1, 3, 1, 1, 1), in the order of the channels that they were trained with.

    Args:
        channels: of the clips.
        small: leave out the first pooling, for frames of few pixels.
    """

    def __init__(self, channels: int = COLOURS, *, small: bool = False) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, width in WIDTHS.items():
            conv = nn.Conv3d(channels, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers[name], layers[name.replace("conv", "relu")] = conv, nn.ReLU(inplace=True)
            if name in POOLED and not (small and name == "conv1"):
                layers[name.replace("conv", "pool")] = nn.MaxPool3d(POOLED[name], ceil_mode=True)
            channels = width
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x.mean((2, 3, 4))


def build_c3d(info: EncoderInfo, *, size: int, stem: str, channels: int = COLOURS) -> StagedEncoder:
    """C3D with fresh weights; stages are the outputs of its five groups of convolutions.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the frames, pixels.
        stem: "standard" as published, or "small": without the first pooling.
        channels: of the clips.
    """
    small = stem == "small"
    last = ("relu1", "relu2", "relu3b", "relu4b", "relu5b")
    arguments = [*([str(channels)] if channels != COLOURS else []), *(["small=True"] if small else [])]
    return StagedEncoder(
        C3D(channels, small=small),
        Layout(stages=dict(zip(info.stages, last, strict=True)), classifier=("fc6.", "fc7.", "fc8.")),
        Origin(
            make=f"selftaught.encoders.video.c3d.C3D({', '.join(arguments)})", make_headless=(), features="model(x)"
        ),
        name=info.name,
        kind="video",
        num_features=WIDTHS["conv5b"],
        stem=stem,
        size=size,
        channels=channels,
    )

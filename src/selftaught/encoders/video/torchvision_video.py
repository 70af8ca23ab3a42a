"""torchvision's networks of clips.

R3D, MC3, R(2+1)D (Tran et al., CVPR 2018, https://arxiv.org/abs/1711.11248), S3D (Xie et al., ECCV 2018,
https://arxiv.org/abs/1712.04851), Video Swin (Liu et al., CVPR 2022, https://arxiv.org/abs/2106.13230) and MViTv2 (Li
et al., CVPR 2022, https://arxiv.org/abs/2112.01526).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torchvision.models import video
from torchvision.ops import StochasticDepth

from selftaught.encoders.kernels import set_channels
from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder, as_python
from selftaught.encoders.video.mvit import MvitEncoder


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """A network without its classifier.

    Attributes:
        headless: statements that take the classifier from torchvision's own.
        replaced: modules of the small stem, by path.
        changes: further statements that the small stem needs.
        features: an expression for the pooled features of clips `x` by `model`.
    """

    layout: Layout
    num_features: int
    headless: tuple[str, ...]
    replaced: Mapping[str, nn.Module] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    features: str = "model(x)"


def build_video_encoder(info: EncoderInfo, *, size: int, stem: str, channels: int = COLOURS) -> StagedEncoder:
    """A torchvision network for (N, channels, T, H, W) clips with fresh weights.

    Stages are clips; those of transformers are their patches without the class token.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the frames, pixels.
        stem: "standard" as published, or "small": the first convolution keeps the frames' size, or halves it in a
            transformer.
        channels: of the clips.
    """
    net = getattr(video, info.name)(weights=None)
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0  # which draws from no generator of the task
    parts = _FAMILIES[info.family](net, info.stages, stem == "small", size)
    for path, module in parts.replaced.items():
        net.set_submodule(path, module)
    replaced = dict(parts.replaced) | (set_channels(net, channels) if channels != COLOURS else {})
    origin = Origin(
        make=f"torchvision.models.video.{info.name}()",
        make_headless=parts.headless,
        features=parts.features,
        changes=(*as_python(replaced), *parts.changes),
    )
    encoder = MvitEncoder if info.family == "mvit" else StagedEncoder
    return encoder(
        net,
        parts.layout,
        origin,
        name=info.name,
        kind="video",
        num_features=parts.num_features,
        stem=stem,
        size=size,
        channels=channels,
    )


def _resnet(net: Any, stages: tuple[str, ...], small: bool, size: int) -> _Parts:
    width = net.fc.in_features
    net.fc = nn.Identity()
    return _Parts(
        layout=Layout(stages={stage: stage for stage in stages}, classifier=("fc.",)),
        num_features=width,
        headless=("model.fc = nn.Identity()",),
        replaced={"stem.0": _first_conv(net.stem[0])} if small else {},
    )


def _s3d(net: Any, stages: tuple[str, ...], small: bool, size: int) -> _Parts:
    width = net.classifier[1].in_channels
    net.avgpool, net.classifier = nn.AdaptiveAvgPool3d(1), nn.Identity()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.1  # with 0.001 of torchvision, statistics of short runs stay those of the start
    paths = ("features.0", "features.3", "features.6", "features.12", "")
    return _Parts(
        layout=Layout(
            stages=dict(zip(stages, paths, strict=True)),
            trunk="features",
            classifier=("classifier.",),
            least_side=9 if small else 17,
            least_frames=5,
        ),
        num_features=width,
        headless=("model.avgpool, model.classifier = nn.AdaptiveAvgPool3d(1), nn.Identity()",),
        replaced={"features.0.0.0": _first_conv(net.features[0][0][0])} if small else {},
    )


def _swin(net: Any, stages: tuple[str, ...], small: bool, size: int) -> _Parts:
    net.head = nn.Identity()
    paths = ("features.0", "features.2", "features.4", "norm")
    replaced: dict[str, nn.Module] = {}
    changes: tuple[str, ...] = ()
    if small:
        side = (2, 2, 2)
        net.patch_embed.tuple_patch_size = side
        replaced = {"patch_embed.proj": nn.Conv3d(COLOURS, net.patch_embed.proj.out_channels, side, stride=side)}
        changes = (f"model.patch_embed.tuple_patch_size = {side}",)
    return _Parts(
        layout=Layout(
            stages=dict(zip(stages, paths, strict=True)), classifier=("head.",), channel_axis=4, one_length=True
        ),
        num_features=net.num_features,
        headless=("model.head = nn.Identity()",),
        replaced=replaced,
        changes=changes,
    )


def _mvit(net: Any, stages: tuple[str, ...], small: bool, size: int) -> _Parts:
    width = net.head[1].in_features
    net.head = nn.Identity()
    published, stride = net.conv_proj, 2 if small else 4
    conv = nn.Conv3d(COLOURS, published.out_channels, 3, stride=2, padding=1)
    rows = -(-size // stride)
    return _Parts(
        layout=Layout(
            stages=dict(zip(stages, ("blocks.0", "blocks.2", "blocks.13", "norm"), strict=True)),
            classifier=("head.",),
            one_length=True,
        ),
        num_features=width,
        headless=("model.head = nn.Identity()", f"model.pos_encoding.spatial_size = ({rows}, {rows})"),
        replaced={"conv_proj": conv} if small else {},
        # torchvision's own takes clips of the length that it is told.
        features="(setattr(model.pos_encoding, 'temporal_size', (x.shape[2] + 1) // 2), model(x))[1]",
    )


_FAMILIES: Mapping[str, Callable[[Any, tuple[str, ...], bool, int], _Parts]] = {
    "resnet3d": _resnet,
    "s3d": _s3d,
    "swin3d": _swin,
    "mvit": _mvit,
}


def _first_conv(published: nn.Conv3d) -> nn.Conv3d:
    """3 x 3 in space at stride 1, unchanged in time, drawn as torchvision draws its 3-D convolutions."""
    conv = nn.Conv3d(
        3,
        published.out_channels,
        (published.kernel_size[0], 3, 3),
        stride=(published.stride[0], 1, 1),
        padding=(published.padding[0], 1, 1),  # type: ignore[arg-type]
        bias=False,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv

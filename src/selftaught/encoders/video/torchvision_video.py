"""torchvision's 3-D networks of Tran et al., CVPR 2018 (https://arxiv.org/abs/1711.11248): R3D, MC3, R(2+1)D."""

from __future__ import annotations

from torch import nn
from torchvision.models import video

from selftaught.encoders.kernels import set_channels
from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder, as_python


def build_video_encoder(info: EncoderInfo, *, size: int, stem: str, channels: int = COLOURS) -> StagedEncoder:
    """A torchvision network for (N, channels, T, H, W) clips with fresh weights.

    Args:
        info: its entry in `names.ENCODERS`.
        size: side of the frames, pixels.
        stem: "standard" as published, or "small": the first convolution keeps the frames' size.
        channels: of the clips.
    """
    net = getattr(video, info.name)(weights=None)
    num_features = net.fc.in_features
    net.fc = nn.Identity()
    replaced: dict[str, nn.Module] = {}
    if stem == "small":
        replaced = {"stem.0": _first_conv(net.stem[0])}
        net.stem[0] = replaced["stem.0"]
    if channels != COLOURS:
        replaced |= set_channels(net, channels)
    origin = Origin(
        make=f"torchvision.models.video.{info.name}()",
        make_headless=("model.fc = nn.Identity()",),
        features="model(x)",
        changes=as_python(replaced),
    )
    return StagedEncoder(
        net,
        Layout(stages={stage: stage for stage in info.stages}, classifier=("fc.",)),
        origin,
        name=info.name,
        kind="video",
        num_features=num_features,
        stem=stem,
        size=size,
        channels=channels,
    )


def _first_conv(published: nn.Conv3d) -> nn.Conv3d:
    """3 x 3 in space at stride 1, unchanged in time, drawn as torchvision draws its 3-D convolutions."""
    conv = nn.Conv3d(
        3,
        published.out_channels,
        (published.kernel_size[0], 3, 3),
        stride=1,
        padding=(published.padding[0], 1, 1),  # type: ignore[arg-type]
        bias=False,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv

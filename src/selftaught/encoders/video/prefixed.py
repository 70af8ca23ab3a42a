"""A name such as "mean:resnet18" becomes an encoder of clips."""

from __future__ import annotations

from collections.abc import Callable

from selftaught.encoders.base import Encoder
from selftaught.encoders.names import SEES_FRAMES, ClipName, channels_of, clip_name, encoder_names, prefix_of
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.encoders.video.lstm import LstmEncoder
from selftaught.encoders.video.mean import MeanEncoder
from selftaught.encoders.video.two_stream import TwoStreamEncoder

OF_COLOURS = ("flow", "twostream")
"""Prefixes that need colour frames, to compute flow from."""


def build_frames_encoder(name: str, parts: ClipName, build: Callable[[str], Encoder]) -> Encoder:
    """An encoder of clips with fresh weights.

    Args:
        name: the whole, such as "20ch:mean:resnet18".
        parts: of that name.
        build: an encoder of its name.
    """
    _check(name, parts)
    inside = parts.parts
    image = build(inside["image"])
    if parts.head == "mean":
        return MeanEncoder(name, image)
    if parts.head == "lstm":
        return LstmEncoder(name, image)
    if parts.head == "twostream":
        flow = ClipImageEncoder(inside["flow"], build(inside["flow.image"]), "flow", parts.count, COLOURS)
        return TwoStreamEncoder(name, image, flow)
    sees = prefix_of(parts.inner).removesuffix(":")
    return ClipImageEncoder(name, image, parts.head, parts.count, parts.channels or COLOURS, sees=sees)


def _check(name: str, parts: ClipName) -> None:
    head, inner = parts.head, parts.inner
    bare = inner.removeprefix(prefix_of(inner))
    if not bare or clip_name(bare) or any(info.name == bare and info.kind != "image" for info in encoder_names()):
        raise ValueError(f"{head}: goes before the name of an encoder of images, got {name!r}")
    if (parts.channels or channels_of(inner)) and head in OF_COLOURS:
        raise ValueError(f"{head}: computes flow from colour frames, so its clips have 3 channels, got {name!r}")
    if channels_of(inner):
        raise ValueError(f"the number of channels goes first: {prefix_of(inner)}{head}:{bare}, got {name!r}")
    seen = prefix_of(inner)
    refused = {"flow": ("sobel:", "split:")}.get(head, () if head in SEES_FRAMES else ("split:",))
    if seen and (seen in refused or parts.channels):
        raise ValueError(f"{seen} goes before an encoder that sees colour images, which it does not in {name!r}")

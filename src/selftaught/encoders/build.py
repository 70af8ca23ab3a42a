"""A name becomes an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from selftaught.core.names import unknown_name
from selftaught.core.objects.registry import is_object
from selftaught.encoders.names import TIMM, channels_of, clip_name, encoder_names, given_weights, prefix_of
from selftaught.encoders.spec import COLOURS

if TYPE_CHECKING:
    from selftaught.encoders.base import Encoder

Stem = Literal["auto", "standard", "small"]
SMALL_BELOW = 48
"""Pixels under which stem="auto" takes the small stem: a published stem would leave a 1 x 1 map."""


def build_encoder(name: str, *, size: int, stem: Stem = "auto") -> Encoder:
    """Make an encoder with fresh weights, drawn from torch's default generator.

    Args:
        name: one of `encoder_names()`, or "timm:MODEL"; "grey:" or "sobel:" before it changes what it sees, "split:"
            makes two of half the width, one for lightness and one for colour, and "20ch:" makes one for images or
            clips of 20 channels. One of images takes clips behind "mean:", "lstm:", "flow:", "twostream:",
            "differences:", "sumdiff:" or "dynamic:", see `encoders.video`.
        size: side of the square images, pixels; audio encoders ignore it.
        stem: the published first layers, or stride 1 for small images; "auto" is small below 48 pixels.
    """
    if stem not in ("auto", "standard", "small"):
        raise ValueError(f"--stem must be one of auto, standard, small, got {stem!r}")
    if given_weights(name):
        raise ValueError(f"encoder {name!r} names weights, which are not read here; give the encoder's name alone")
    if clip := clip_name(name):
        from selftaught.encoders.video.prefixed import build_frames_encoder

        return build_frames_encoder(name, clip, lambda inner: build_encoder(inner, size=size, stem=stem))
    channels = channels_of(name)
    if channels is not None:
        encoder = _build_plain(name.removeprefix(prefix_of(name)), size=size, stem=stem, channels=channels)
        if encoder.kind == "audio":
            raise ValueError(f"{channels}ch: goes before the name of an encoder of images or clips, got {name!r}")
        encoder.name = name
        return encoder
    if prefix := prefix_of(name):
        return _build_prefixed(prefix, name, size=size, stem=stem)
    return _build_plain(name, size=size, stem=stem)


def _build_plain(name: str, *, size: int, stem: Stem, channels: int = COLOURS) -> Encoder:
    """Of a name without a prefix."""
    if is_object(name, "module"):
        from selftaught.encoders.own_module import build_own_module

        return build_own_module(name, size=size, channels=channels)
    small_by_default = size < SMALL_BELOW
    if name.startswith(TIMM):
        from selftaught.encoders.timm_model import build_timm_encoder

        return build_timm_encoder(name, size=size, stem=stem, small_by_default=small_by_default, channels=channels)
    known = {info.name: info for info in encoder_names()}
    if name not in known:
        raise ValueError(unknown_name("encoder", name, list(known)))
    info = known[name]
    resolved = stem if stem != "auto" else "small" if small_by_default else "standard"
    if info.kind == "audio":
        from selftaught.encoders.audio import build_audio_encoder

        return build_audio_encoder(name)
    if info.family == "convnet3d":
        from selftaught.encoders.video.convnet import build_video_convnet

        return build_video_convnet(info, stem=resolved, channels=channels)
    if info.family == "c3d":
        from selftaught.encoders.video.c3d import build_c3d

        return build_c3d(info, size=size, stem=resolved, channels=channels)
    if info.family == "i3d":
        from selftaught.encoders.video.i3d import build_i3d

        return build_i3d(info, size=size, stem=resolved, channels=channels)
    if info.family == "videovit":
        from selftaught.encoders.video.videovit import VideoVit

        return VideoVit(info, stem=resolved, channels=channels)
    if info.kind == "video":
        from selftaught.encoders.video.torchvision_video import build_video_encoder

        return build_video_encoder(info, size=size, stem=resolved, channels=channels)
    from selftaught.encoders.image import build_image_encoder

    return build_image_encoder(info, size=size, stem=resolved, channels=channels)


def _build_prefixed(prefix: str, name: str, *, size: int, stem: Stem) -> Encoder:
    from selftaught.encoders.split import SplitEncoder, halve
    from selftaught.encoders.staged import StagedEncoder

    inner = name.removeprefix(prefix)

    def build() -> StagedEncoder:
        made = build_encoder(inner, size=size, stem=stem)
        if not isinstance(made, StagedEncoder) or made.kind != "image" or made.sees or channels_of(inner):
            raise ValueError(f"{prefix} goes before the name of one encoder of images, got {name!r}")
        return made

    if prefix == "split:":
        if inner.startswith(TIMM):
            raise ValueError(f"{prefix} needs an encoder of torchvision, whose layers can be halved, got {name!r}")
        return SplitEncoder(name, halve(build()), halve(build()))
    if clip := clip_name(inner):
        raise ValueError(
            f"{prefix} goes last, as in {inner.removesuffix(clip.inner)}{prefix}{clip.inner}, got {name!r}"
        )
    encoder = build_encoder(inner, size=size, stem=stem)
    if encoder.kind == "audio" or encoder.sees or channels_of(inner) or isinstance(encoder, SplitEncoder):
        raise ValueError(f"{prefix} goes before the name of one encoder of images or clips, got {name!r}")
    encoder.sees, encoder.name = prefix.removesuffix(":"), name
    return encoder

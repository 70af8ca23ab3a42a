"""The networks that are kept after pretraining, behind one protocol (`base.Encoder`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from selftaught.encoders.names import TIMM, EncoderInfo, encoder_names
from selftaught.names import unknown_name

if TYPE_CHECKING:
    from selftaught.encoders.base import Encoder

__all__ = ["EncoderInfo", "build_encoder", "encoder_names"]

SMALL_BELOW = 48
"""Pixels under which stem="auto" takes the small stem: a published stem would leave a 1 x 1 map."""


def build_encoder(name: str, *, size: int, stem: Literal["auto", "standard", "small"] = "auto") -> Encoder:
    """Make an encoder with fresh weights, drawn from torch's default generator.

    Args:
        name: one of `encoder_names()`, or "timm:MODEL".
        size: side of the square pictures, pixels; sound encoders ignore it.
        stem: the published first layers, or stride 1 for small pictures; "auto" is small below 48 pixels.
    """
    if stem not in ("auto", "standard", "small"):
        raise ValueError(f"--stem must be one of auto, standard, small, got {stem!r}")
    small_by_default = size < SMALL_BELOW
    if name.startswith(TIMM):
        from selftaught.encoders.timm_model import build_timm_encoder

        return build_timm_encoder(name, size=size, stem=stem, small_by_default=small_by_default)
    known = {info.name: info for info in encoder_names()}
    if name not in known:
        raise ValueError(unknown_name("encoder", name, list(known)))
    info = known[name]
    resolved = stem if stem != "auto" else "small" if small_by_default else "standard"
    if info.kind == "audio":
        from selftaught.encoders.audio import build_audio_encoder

        return build_audio_encoder(name)
    if info.kind == "video":
        from selftaught.encoders.video import build_video_encoder

        return build_video_encoder(info, size=size, stem=resolved)
    from selftaught.encoders.image import build_image_encoder

    return build_image_encoder(info, size=size, stem=resolved)

"""The networks that are kept after pretraining, behind one protocol (`base.Encoder`)."""

from __future__ import annotations

from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import EncoderInfo, encoder_names

__all__ = ["EncoderInfo", "build_encoder", "encoder_names"]

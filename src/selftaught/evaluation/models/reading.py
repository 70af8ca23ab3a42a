"""What a model keeps of its run: how the encoder is built, and how data are read."""

from __future__ import annotations

from typing import Any

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.subject import Subject
from selftaught.training.encoder_of_run import parts_of

KEPT = ("value_range", "max_image_pixels", "store_size", "frame_rate", "cache_limit", "channels", "tile", "overlap")
"""Settings of the data by which new data are read too."""


def network_of_subject(subject: Subject) -> dict[str, Any]:
    """`NetworkSettings` of the encoder alone."""
    network = subject.network
    name = parts_of(network)[subject.part]
    return {"encoder": name, "size": network.size, "stem": network.stem, "clip_seen": dict(network.clip_seen)}


def reading_of(reading: DataSettings) -> dict[str, Any]:
    """Settings of the data that hold for others too."""
    return {name: getattr(reading, name) for name in KEPT}

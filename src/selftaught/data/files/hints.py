"""What people say of data that the files themselves do not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Of data whose layout leaves a choice; the defaults are right for all others."""

    frame_rate: float = 25.0
    """Frames a second of videos that are folders of numbered images."""


NO_HINTS = Hints()

"""What the tasks of a comparison are measured beside: random weights, of each encoder and clip its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.wording import number

RANDOM = "random weights"


def is_reference(name: str) -> bool:
    """Whether this is what tasks are compared with: random weights or supervised."""
    return name == "supervised" or name.startswith(RANDOM)


def random_references(table: Json, rows: Sequence[Json]) -> dict[str, Json]:
    """The scores of random weights by their names: one where all tasks share it, else one for each encoder and clip."""
    found: dict[tuple[str, str], Json] = {}
    for row in rows:
        probe = row.get("probe") or {}
        if isinstance(random := probe.get("random"), Mapping) and finite(random.get("value")) is not None:
            encoder = str(probe.get("encoder") or row.get("encoder") or "")
            found.setdefault((encoder, clip_words(row.get("clip"))), random)
    given = table.get("random")
    if len({repr(dict(random)) for random in found.values()}) < 2:
        known = given if isinstance(given, Mapping) and finite(given.get("value")) is not None else None
        known = known or next(iter(found.values()), None)
        return {RANDOM: known} if known else {}
    encoders = [encoder for encoder, _ in found]
    return {
        f"{RANDOM}, {encoder}" + (f" ({clip})" if clip and encoders.count(encoder) > 1 else ""): random
        for (encoder, clip), random in found.items()
    }


def clip_words(clip: Any) -> str:
    """Such as "16 frames", "16 frames, stride 2", "16 frames, 8 fps"; nothing where it is not known."""
    if not isinstance(clip, Mapping) or finite(clip.get("frames")) is None:
        return ""
    words = f"{number(finite(clip['frames']))} frames"
    if (fps := finite(clip.get("fps"))) is not None:
        return f"{words}, {number(fps)} fps"
    stride = finite(clip.get("stride")) or 1
    return words if stride == 1 else f"{words}, stride {number(stride)}"

"""Settings that are written as text: times and ranges of values."""

from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

COLOURS = 3


def parse_seconds(text: str) -> float:
    """Seconds of "90s", "10m", "1.5h" or "600"."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    number = text[:-1] if unit else text
    seconds = -1.0
    with contextlib.suppress(ValueError):
        seconds = float(number) * (unit or 1.0)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--budget must be a time such as 90s, 10m or 1.5h, got {text!r}")
    return seconds


class ValueRange(NamedTuple):
    """The value that becomes 0 and the one that becomes 255; values outside are clipped."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.9g},{self.high:.9g}"


def read_ranges(text: str, channels: int) -> tuple[ValueRange, ...]:
    """The range of each channel: one LOW,HIGH for all, or as many with ; between; empty of "auto"."""
    if text == "auto":
        return ()
    found = [read_range(part) for part in text.split(";")]
    ranges = tuple(one for one in found if one is not None)
    if len(ranges) == 1:
        return ranges * channels
    if channels != COLOURS and len(ranges) == len(found) == channels:
        return ranges
    raise ValueError(
        f"--value-range must be one LOW,HIGH for all channels{_each(channels)}, got {len(found)} in {text!r}"
    )


def _each(channels: int) -> str:
    return "" if channels == COLOURS else f", or {channels} of them with ; between, one for each of --channels"


def read_range(text: str) -> ValueRange | None:
    """Of "LOW,HIGH"; None of "auto"."""
    if text == "auto":
        return None
    with contextlib.suppress(ValueError):
        low, high = (float(word) for word in text.split(","))
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return ValueRange(low, high)
    raise ValueError(f"--value-range must be auto or two numbers LOW,HIGH such as 0,4095, got {text!r}")

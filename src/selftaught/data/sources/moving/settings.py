"""The name of moving sequences, such as `moving:digits,label=speed`, and what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from selftaught.core.ranges import Range, Settings

Label = Literal["direction", "speed", "identity"]
Ground = Literal["black", "texture", "photo"]
Motion = Literal["straight", "bounce", "fall"]
Camera = Literal["still", "drift"]

DIGITS = "digits"
PREFIX = "moving:"
LABELS_OF: Mapping[str, tuple[Label, ...]] = MappingProxyType(
    {"straight": ("direction", "speed", "identity"), "bounce": ("speed", "identity"), "fall": ("identity",)}
)
"""What stays the same in all of a video: what bounces has no one direction, what falls no one speed either."""
LONGEST_STRAIGHT = 40
"""Frames after which the fastest object would have left the image."""


@dataclass(frozen=True, kw_only=True)
class MovingSettings(Settings):
    """What moves, how, and which of it is the label."""

    data: str
    """`digits`, or the path or name of images."""
    label: Label
    """One of eight directions, of three speeds, or the digit or class that moves; by default the first of them that
    stays the same in all of a video."""
    videos: Annotated[int, Range(least=8, most=1_000_000)] = 500
    """Videos to train on; the held-out and the test part have a quarter as many each."""
    side: Annotated[int, Range(least=16, most=512)] = 64
    """Pixels of the square frames."""
    frames: Annotated[int, Range(least=2, most=10_000)] = 32
    """Of each video, at 25 a second."""
    ground: Ground = "black"
    """What is behind: black, a drawn texture, or another photograph (the default of photographs)."""
    motion: Motion = "straight"
    """Straight on, straight on with bounces at the border, or falling with bounces that grow lower."""
    camera: Camera = "still"
    """Whether the ground stands still or drifts evenly."""
    seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 0
    """Of everything that is drawn; another seed gives other videos of the same digits or photographs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label not in LABELS_OF[self.motion]:
            raise ValueError(
                f"a video with motion={self.motion} has no one {self.label}; choose motion=straight, or label="
                f"{' or '.join(LABELS_OF[self.motion])}"
            )
        if self.motion == "straight" and self.frames > LONGEST_STRAIGHT:
            raise ValueError(
                f"objects with motion=straight leave the image after {LONGEST_STRAIGHT} frames, got frames="
                f"{self.frames}; lower it or choose motion=bounce"
            )
        if self.ground == "photo" and self.data == DIGITS:
            raise ValueError("ground=photo needs photographs, and digits are none; give moving:FOLDER of images")

    @property
    def drawn_by(self) -> list[str]:
        """What the frames follow from: all but the label and the number of videos."""
        return [f"{name}={getattr(self, name)}" for name in _names() if name not in ("label", "videos")]


def read_settings(data: str) -> MovingSettings:
    """The settings of a name: what moves, then any settings as name=value with commas between.

    Raises:
        ValueError: of one sentence where a setting is unknown or its value not allowed.
    """
    hints = get_type_hints(MovingSettings)
    what, *given = data.removeprefix(PREFIX).split(",")
    while given and not re.match(r"\w+=", given[0]):  # a path may hold a comma
        what += f",{given.pop(0)}"
    if not what:
        raise ValueError(f"{data} does not say what moves; give {PREFIX}digits, or {PREFIX}FOLDER with images")
    found: dict[str, Any] = {}
    for part in given:
        name, _, value = part.partition("=")
        if name not in _names():
            raise ValueError(
                f"{data}: unknown setting {part!r}; there are {', '.join(_names())}, as in {PREFIX}digits,side=48"
            )
        if name in found:
            raise ValueError(f"{data}: {name} is given twice; leave one of them")
        if hints[name] is int and not (value.isascii() and value.isdecimal()):
            raise ValueError(f"{data}: {name} must be a whole number, got {value!r}")
        found[name] = int(value) if hints[name] is int else value
    found.setdefault("ground", "black" if what == DIGITS else "photo")
    found.setdefault("label", LABELS_OF.get(found.get("motion", "straight"), ("identity",))[0])
    try:
        return MovingSettings(data=what, **found)
    except ValueError as wrong:
        raise ValueError(f"{data}: {str(wrong).removeprefix('--')}") from None


def _names() -> list[str]:
    return [field.name for field in fields(MovingSettings) if field.name != "data"]

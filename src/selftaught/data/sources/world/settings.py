"""The name of rendered scenes, such as `world:scenes=500,side=96`, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

from selftaught.core.ranges import Range, Settings

PREFIX = "world:"
ENDLESS = 0
"""As `scenes`: rendered while training, and never kept."""
EPOCH = 1_000_000
"""Scenes of the training part where they are endless."""
_LATER = {"sound": "none", "materials": "heard", "camera": "moving"}
"""Settings that are not named where they change nothing."""


@dataclass(frozen=True, kw_only=True)
class WorldSettings(Settings):
    """Which scenes there are, and how they are filmed."""

    scenes: Annotated[int, Range(least=0, most=EPOCH)] = ENDLESS
    """Videos to train on, rendered once and kept; 0 (or endless) renders new ones while training. The held-out and the
    test part have a quarter as many each, 64 of endless ones."""
    side: Annotated[int, Range(least=16, most=1024)] = 128
    """Pixels of the square frames."""
    frames: Annotated[int, Range(least=1, most=10_000)] = 32
    """Of each video."""
    fps: Annotated[int, Range(least=1, most=240)] = 15
    """Frames a second."""
    place: Literal["both", "indoor", "outdoor"] = "both"
    """A room, open ground, or either by chance."""
    least: Annotated[int, Range(least=0, most=200)] = 5
    """Bodies of a scene that can move, at least."""
    most: Annotated[int, Range(least=0, most=200)] = 40
    """As many at most."""
    textures: str = ""
    """Folder of photos, or name of images, that surfaces are covered with; "" draws textures."""
    sound: Literal["none", "impacts"] = "none"
    """Whether collisions are heard. The bodies of a scene are of one material, which is its label; the frames are the
    same. Not of endless scenes."""
    materials: Literal["heard", "seen"] = "heard"
    """Whether the material of a scene can also be seen: its objects then have the colours, texture and gloss of it, and
    it is the label without sound too, but of endless scenes. Shapes and motion stay the same."""
    camera: Literal["moving", "still"] = "moving"
    """Whether the camera moves and turns, or stays where it is in the first frame."""
    seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 0
    """Of everything; another seed gives other scenes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least > self.most:
            raise ValueError(f"--least must not be above most, got {self.least} and {self.most}")

    @property
    def is_endless(self) -> bool:
        """Whether scenes are rendered while training."""
        return self.scenes == ENDLESS

    @property
    def drawn_by(self) -> list[str]:
        """What the frames and their sound follow from: all but the number of scenes and of frames."""
        usual = {name for name, value in _LATER.items() if getattr(self, name) == value}
        return [f"{name}={getattr(self, name)}" for name in _names() if name not in {"scenes", "textures", *usual}]

    @property
    def has_materials(self) -> bool:
        """Whether the material of a scene is heard or seen, and so its label."""
        return self.sound != "none" or self.materials == "seen"


def is_world(data: str) -> bool:
    """Whether data are rendered scenes by their name."""
    return data == "world" or data.startswith(PREFIX)


def read_settings(data: str) -> WorldSettings:
    """The settings of a name: any of them as name=value with commas between.

    Raises:
        ValueError: of one sentence where a setting is unknown or its value not allowed.
    """
    hints, found = get_type_hints(WorldSettings), dict[str, Any]()
    for part in re.split(r",(?=\w+=|$)", data.removeprefix("world").removeprefix(":")):  # a path may hold a comma
        name, _, value = part.partition("=")
        if not part:
            continue
        if name not in _names():
            raise ValueError(
                f"{data}: unknown setting {part!r}; there are {', '.join(_names())}, as in {PREFIX}scenes=500,side=96"
            )
        if name in found:
            raise ValueError(f"{data}: {name} is given twice; leave one of them")
        if name == "scenes" and value == "endless":
            value = str(ENDLESS)
        if hints[name] is int and not (value.isascii() and value.isdecimal()):
            raise ValueError(f"{data}: {name} must be a whole number, got {value!r}")
        found[name] = int(value) if hints[name] is int else value
    try:
        return WorldSettings(**found)
    except ValueError as wrong:
        raise ValueError(f"{data}: {str(wrong).removeprefix('--')}") from None


def _names() -> list[str]:
    return [field.name for field in fields(WorldSettings)]

"""What bodies look like where their material is seen as well as heard: colour, texture and gloss of each material."""

from __future__ import annotations

from collections.abc import Mapping
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.scene import Surfaces

Bounds = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a material looks like; each body is drawn from these ranges.

    Attributes:
        pattern: of its texture, in greys that the colour multiplies.
        hue: as a part of the circle of colours, 0 for red; beyond 1 it begins again.
        saturation: 0 for grey, 1 for a pure colour.
        brightness: of its lightest places in linear light, 1 for white.
        metres: width of one texture.
        gloss: share of a light that shines on it.
    """

    pattern: Literal["wood", "brushed", "clear", "plain", "grain"]
    hue: Bounds
    saturation: Bounds
    brightness: Bounds
    metres: Bounds
    gloss: float


LOOKS: Mapping[str, Look] = {
    "glass": Look(
        pattern="clear", hue=(0.42, 0.52), saturation=(0.15, 0.4), brightness=(0.6, 1.0), metres=(0.5, 1.2), gloss=1.0
    ),
    "metal": Look(
        pattern="brushed", hue=(0.55, 0.65), saturation=(0.0, 0.1), brightness=(0.3, 0.6), metres=(0.2, 0.5), gloss=0.8
    ),
    "plastic": Look(
        pattern="plain", hue=(0.0, 1.0), saturation=(0.75, 0.95), brightness=(0.5, 0.9), metres=(0.3, 1.2), gloss=0.3
    ),
    "rubber": Look(
        pattern="grain", hue=(0.0, 1.0), saturation=(0.0, 0.2), brightness=(0.02, 0.06), metres=(0.2, 0.6), gloss=0.0
    ),
    "wood": Look(
        pattern="wood", hue=(0.05, 0.1), saturation=(0.5, 0.8), brightness=(0.25, 0.6), metres=(0.3, 0.9), gloss=0.05
    ),
}
"""By the names of `impacts.MATERIALS`. Glass is not transparent: light goes straight on in these scenes."""


PATTERNS = tuple(LOOKS[name].pattern for name in sorted(LOOKS))
"""Of the textures that stand behind all others where materials are seen, one for each material."""


def dressed(
    surfaces: Surfaces, instance: NDArray[np.int16], material: str, rng: np.random.Generator, *, textures: int
) -> Surfaces:
    """The surfaces of a scene whose objects are all of one material; the background stays as it is.

    Args:
        surfaces: of G shapes.
        instance: (G,) number of the object that a shape belongs to, 0 for the background.
        material: a name of `LOOKS`.
        rng: for the colour and the size of the texture, the same for all parts of an object.
        textures: how many there are, with `PATTERNS` at their end.
    """
    look, texture = LOOKS[material], textures - len(PATTERNS) + sorted(LOOKS).index(material)
    changed = replace(
        surfaces,
        texture=surfaces.texture.copy(),
        metres=surfaces.metres.copy(),
        gain=surfaces.gain.copy(),
        gloss=surfaces.gloss.copy(),
    )
    for number in range(1, int(instance.max(initial=0)) + 1):
        parts = instance == number
        hue, saturation, brightness, metres = (
            rng.uniform(*bounds) for bounds in (look.hue, look.saturation, look.brightness, look.metres)
        )
        changed.texture[parts], changed.metres[parts] = texture, metres
        changed.gain[parts] = hsv_to_rgb(hue % 1, saturation, brightness)
        changed.gloss[parts] = look.gloss
    return changed

"""Rendered scenes as a source: `world:scenes=500`, with everything that is known of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, final, overload

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.sources.base import Entry, GivenMaps, Source
from selftaught.data.sources.world.impacts import MATERIALS
from selftaught.data.sources.world.looks import PATTERNS
from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.settings import EPOCH, WorldSettings
from selftaught.data.sources.world.textures import SIZE, Textures, drawn_textures, photo_textures
from selftaught.data.sources.world.video import Scenes, WorldVideo

KINDS = ("depth", "normals", "instances", "contours", "moving", "flow", "occlusion", "pose", "intrinsics")
"""Of `inputs.GIVEN`, those that a world gives."""
_PARTS = {"train": "train", "held_out": "val", "test": "test"}
_FEWER, _HELD_OUT = 4, 64
"""The held-out and the test part have so many times fewer scenes; of endless ones, so many."""
_MOST_PHOTOS = 256
"""Photos that surfaces are covered with."""
_VERSION = "1"
"""Raise it when other frames are rendered from the same settings."""
_KEPT = 8
"""Simulations that are kept for the next frame of the same video."""


@final
class World(Source):
    """One part of the scenes."""

    def __init__(self, scenes: Scenes, known: str) -> None:
        settings, part = scenes.settings, scenes.part
        is_train = part == _PARTS["train"]
        self.is_endless = settings.is_endless and is_train
        count = settings.scenes if is_train else max(1, settings.scenes // _FEWER)
        if settings.is_endless:
            count = EPOCH if is_train else _HELD_OUT
        self.scenes = scenes
        self.entries: Sequence[Entry] = Numbered(part, count)
        self.classes: tuple[str, ...] | None = None
        self.provides = frozenset({"video", "image", *KINDS})
        if settings.sound == "impacts":
            self.provides |= {"audio"}
        if settings.has_materials and not settings.is_endless:
            self.classes = tuple(sorted(MATERIALS))
            labels = [self.classes.index(scenes.video(n).material) for n in range(count)]
            self.entries = [replace(entry, label=label) for entry, label in zip(self.entries, labels, strict=True)]
            self.provides |= {"label"}
        self.part = part
        self.fingerprint = digest(["world", _VERSION, part, str(count), *settings.drawn_by, known])
        self._simulations: OrderedDict[int, Simulation] = OrderedDict()
        self._taking = threading.Lock()
        self.maps = {
            kind: GivenMaps(
                fingerprint=digest([self.fingerprint, kind]),
                read=partial(self._given, kind),
                size=lambda _: (settings.side, settings.side),
            )
            for kind in KINDS
        }

    def read(self, i: int) -> WorldVideo:
        """The video of scene `i`."""
        return self.scenes.video(i)

    def _given(self, kind: str, i: int, second: float) -> NDArray[Any]:
        """What is known of the frame of scene `i` that is shown at this second."""
        video = self.scenes.video(i)
        with self._taking:
            simulation = self._simulations.pop(i, None)
        simulation = simulation or video.simulation()
        values = video.given([kind], round(second * video.fps), simulation)[kind]
        with self._taking:
            self._simulations[i] = simulation
            while len(self._simulations) > _KEPT:
                self._simulations.popitem(last=False)
        return values


@final
class Numbered(Sequence[Entry]):
    """Entries train/000000 and so on, made when they are asked for."""

    def __init__(self, part: str, count: int) -> None:
        self._part, self._count = part, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._count))]
        if not -self._count <= at < self._count:
            raise IndexError(at)
        return Entry(f"{self._part}/{at % self._count:06d}")

    def __iter__(self) -> Iterator[Entry]:
        return (self[i] for i in range(self._count))


def open_world(settings: WorldSettings, *, split: str, open_images: Callable[[str], Source]) -> World:
    """One part of the scenes that a name such as `world:scenes=500` describes.

    Args:
        settings: what the name says.
        split: "train", "held_out" or "test".
        open_images: opens the images of a path or name, whose photos cover the surfaces.
    """
    check_installed()
    if settings.sound == "impacts" and settings.is_endless:
        raise ValueError("world: sound=impacts needs a number of scenes, such as world:scenes=500,sound=impacts")
    patterns = PATTERNS if settings.materials == "seen" else ()
    textures, known = drawn_textures(patterns), ""
    if settings.textures:
        photos = open_images(settings.textures)
        textures, known = _photos_of(photos, settings.textures, patterns), photos.fingerprint
    return World(Scenes(settings, _PARTS[split], textures), known)


def check_installed() -> None:
    """A ValueError of one sentence where MuJoCo is not there."""
    if find_spec("mujoco") is None:
        raise ValueError("scenes are simulated by MuJoCo, which is not installed; pip install 'selftaught[world]'")


def _photos_of(photos: Source, data: str, patterns: tuple[str, ...]) -> Textures:
    """At most `_MOST_PHOTOS` of the photos, the same ones each time."""
    found: list[NDArray[np.uint8]] = []
    for payload in photos.some(_MOST_PHOTOS):
        if not isinstance(payload, Exception):
            try:
                found.append(fit(payload, side=SIZE, decoding=Decoding()))
            except (OSError, ValueError):
                continue
    if not found:
        raise ValueError(f"world: none of the images of textures={data} can be read; give a folder of photos")
    return photo_textures(found, patterns)

"""One scene as a video, and what is given with its frames."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.sources.world.impacts import MATERIALS, find_impacts, ring, wav_of
from selftaught.data.sources.world.looks import PATTERNS, dressed
from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.render import Frame
from selftaught.data.sources.world.scene import draw_scene
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import Textures


@dataclass(frozen=True)
class Scenes:
    """All scenes of one part of one world; scene `number` depends on the settings, the part and the number alone."""

    settings: WorldSettings
    part: str
    textures: Textures
    """Of all surfaces; where materials are seen, with `looks.PATTERNS` at their end."""

    def video(self, number: int) -> WorldVideo:
        """The video of a scene."""
        return WorldVideo(self, number)


@final
class WorldVideo(FrameSequence):
    """The video of one scene; nothing of it is kept but its sound, where it has one."""

    is_drawn = True

    def __init__(self, scenes: Scenes, number: int) -> None:
        self.fps, self.count = float(scenes.settings.fps), scenes.settings.frames
        self._scenes, self._number = scenes, number
        if scenes.settings.sound == "impacts":
            self.track = lambda: io.BytesIO(self.sound_file)

    @property
    def material(self) -> str:
        """What its bodies are made of."""
        names = sorted(MATERIALS)
        return names[int(self._drawn(1).integers(len(names)))]

    @cached_property
    def sound_file(self) -> bytes:
        """The sound of its collisions as a WAV file, for which the scene is simulated once more."""
        simulation = self.simulation()
        impacts = find_impacts(simulation, self.count)
        return wav_of(ring(simulation, impacts, MATERIALS[self.material], frames=self.count))

    @property
    def shape(self) -> tuple[int, int]:
        """As `FrameSequence` says."""
        return self._scenes.settings.side, self._scenes.settings.side

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        """As `FrameSequence` says."""
        simulation = self.simulation()
        for number in numbers:
            yield self.frame(simulation, number).image()

    def given(self, kinds: Iterable[str], number: int, simulation: Simulation | None = None) -> dict[str, NDArray[Any]]:
        """What is known of a frame, by kind."""
        frame = self.frame(simulation or self.simulation(), number)
        return {kind: frame.given(kind) for kind in kinds}

    def frame(self, simulation: Simulation, number: int) -> Frame:
        """A frame of the simulated scene."""
        return Frame(simulation, number, side=self._scenes.settings.side, textures=self._scenes.textures)

    def simulation(self) -> Simulation:
        """The scene at its beginning; for one thread."""
        settings, textures = self._scenes.settings, len(self._scenes.textures)
        is_seen = settings.materials == "seen"
        scene = draw_scene(
            self._drawn(),
            place=None if settings.place == "both" else settings.place,
            bodies=(settings.least, settings.most),
            textures=textures - len(PATTERNS) if is_seen else textures,
            seconds=settings.frames / settings.fps,
        )
        if is_seen:
            worn = dressed(scene.surfaces, scene.instance, self.material, self._drawn(2), textures=textures)
            scene = replace(scene, surfaces=worn)
        if settings.camera == "still":
            scene = replace(scene, path=scene.path.stopped())
        return Simulation(scene, self.fps)

    def _drawn(self, *use: int) -> np.random.Generator:
        """Random numbers of this scene; those of another use are others."""
        return np.random.default_rng([self._scenes.settings.seed, *self._scenes.part.encode(), self._number, *use])

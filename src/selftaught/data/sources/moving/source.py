"""Moving sequences as a source: `moving:digits`, or `moving:DATA` of photographs, with a label that is known exactly.

A controlled test of tasks on video: what a network has to find is in the motion or in what moves, and no single frame
says where it goes.
"""

from __future__ import annotations

from typing import final

from selftaught.core.files import digest
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.moving.motion import DIRECTIONS, SPEEDS, Factors, draw_factors
from selftaught.data.sources.moving.objects import Objects, OpenImages, Photographs, open_objects
from selftaught.data.sources.moving.settings import MovingSettings
from selftaught.data.sources.moving.video import MovingVideo

_PARTS = {"train": "train", "held_out": "val", "test": "test"}
_FEWER = 4
"""The held-out and the test part have so many times fewer videos."""


@final
class MovingSequences(Source):
    """One part. Video `number` depends on the settings, the part and the number alone; the label does not change it."""

    def __init__(self, settings: MovingSettings, part: str, objects: Objects) -> None:
        count = settings.videos if part == "train" else max(1, settings.videos // _FEWER)
        self.factors = [draw_factors(settings, part, number, len(objects)) for number in range(count)]
        if isinstance(objects, Photographs):
            objects.expect({image for factors in self.factors for image in (factors.image, factors.other)})
        self.entries = [
            Entry(f"{part}/{number:06d}", _label(settings, factors, objects))
            for number, factors in enumerate(self.factors)
        ]
        self.classes = {"direction": DIRECTIONS, "speed": SPEEDS, "identity": objects.classes}[settings.label]
        self.provides = frozenset({"video", "image", *(("label",) if self.classes else ())})
        self.part = part
        # Without the label: all labels share one packed store.
        self.fingerprint = digest(["moving 1", part, str(count), *settings.drawn_by, objects.fingerprint])
        self._settings, self._objects = settings, objects

    def read(self, i: int) -> MovingVideo:
        """The frames of video `i`."""
        return MovingVideo(self._settings, self.part, i, self.factors[i], self._objects)


def open_moving(settings: MovingSettings, *, split: str, open_images: OpenImages) -> MovingSequences:
    """One split of the videos that a name such as `moving:digits,label=speed` describes.

    Args:
        settings: what the name says.
        split: "train", "held_out" or "test".
        open_images: opens a split of the photographs.
    """
    objects = open_objects(settings.data, split, open_images)
    return MovingSequences(settings, _PARTS[split], objects)


def _label(settings: MovingSettings, factors: Factors, objects: Objects) -> int | None:
    if settings.label == "identity":
        return objects.labels[factors.image]
    return factors.direction if settings.label == "direction" else factors.speed

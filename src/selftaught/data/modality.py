"""What each kind of encoder asks of the data: what a source must provide, and how samples are cut to measure it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Image, Input, Sound, needs_of

WORDS: Mapping[str, str] = {
    "image": "images",
    "video": "videos",
    "audio": "sound",
    "label": "labels",
    "labels": "labels",
    "box": "boxes",
    "mask": "masks",
    "depth": "depth maps",
    "pose": "poses",
}
"""What a task or probe needs -> what people call it, in the plural."""


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One kind of encoder."""

    inputs: Mapping[str, Input]
    """What its features are read from, when it is not being trained."""
    tasks: str
    """What tasks are listed as that need the first of them."""
    memory: int = 1
    """As many images take the memory of one sample."""

    @property
    def needs(self) -> frozenset[str]:
        """What a source must provide."""
        return needs_of(self.inputs)

    @property
    def sampling(self) -> Sampling:
        """How samples are cut for it."""
        return Sampling(inputs=self.inputs)


MODALITIES: Mapping[str, Modality] = {
    "image": Modality(inputs={"image": Image()}, tasks="image"),
    "video": Modality(inputs={"video": Clip(frames=16)}, tasks="video", memory=16),
    # The image is for people.
    "audio": Modality(inputs={"audio": Sound(seconds=1.0), "image": Image()}, tasks="audio-visual"),
}
"""Kind of encoder, as in `encoders.base.Kind` -> what it asks of the data."""


def kinds_of_tasks() -> list[str]:
    """The kinds that tasks are listed by: image, video, audio-visual."""
    return [modality.tasks for modality in MODALITIES.values()]


def kind_of_task(needs: Collection[str]) -> str:
    """The kind of a task whose inputs need these of a source: that of the last modality whose input is among them."""
    for modality in reversed(list(MODALITIES.values())):
        if next(iter(modality.inputs.values())).takes in needs:
            return modality.tasks
    return next(iter(MODALITIES.values())).tasks

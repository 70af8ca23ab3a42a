"""What each kind of encoder asks of the data: what a source must provide, and how samples are cut to measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Image, Input, Sound, needs_of

WORDS: Mapping[str, str] = {
    "image": "pictures",
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
    "image": Modality(inputs={"image": Image()}),
    "video": Modality(inputs={"video": Clip(frames=16)}, memory=16),
    "audio": Modality(inputs={"audio": Sound(seconds=1.0), "image": Image()}),  # the image is for people
}
"""Kind of encoder, as in `encoders.base.Kind` -> what it asks of the data."""

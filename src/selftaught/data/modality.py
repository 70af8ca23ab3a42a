"""What each kind of encoder asks of the data: what a source must provide, and how samples are cut to measure it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

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
    "normals": "surface normals",
    "instances": "masks of instances",
    "contours": "contours of instances",
    "drawn": "contours that people drew",
    "moving": "masks of what moves",
    "flow": "optical flow",
    "occlusion": "masks of what is occluded",
    "pose": "poses",
    "intrinsics": "intrinsics of the camera",
}
"""What a task or probe needs -> what people call it, in the plural."""

USUAL_CLIP = Clip(frames=16)
"""What encoders of clips see where nothing else is known, as published ones do."""


def clip_of(seen: Mapping[str, float]) -> Clip:
    """The clip that `clip_seen` of an encoder says; of an encoder of images, whose frames it sees one by one."""
    frames, stride = int(seen.get("frames", USUAL_CLIP.frames)), int(seen.get("stride", 1))
    return Clip(frames=frames, stride=stride, fps=seen.get("fps"))


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One kind of encoder."""

    inputs: Mapping[str, Input]
    """What its features are read from, when it is not being trained."""
    tasks: str
    """What tasks are listed as that need the first of them."""

    @property
    def needs(self) -> frozenset[str]:
        """What a source must provide: what its encoders take, which is the first of the inputs."""
        name, first = next(iter(self.inputs.items()))
        return needs_of({name: first})

    def sampling(self, clip: Clip) -> Sampling:
        """How samples are cut for it, clips like `clip`, and every video has one, so that all are measured alike."""
        clip = replace(clip, whole=False)
        return Sampling(inputs={name: clip if isinstance(one, Clip) else one for name, one in self.inputs.items()})


MODALITIES: Mapping[str, Modality] = {
    "image": Modality(inputs={"image": Image()}, tasks="image"),
    "video": Modality(inputs={"video": USUAL_CLIP}, tasks="video"),
    # The image is for people; of a file of sound it is the spectrogram.
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

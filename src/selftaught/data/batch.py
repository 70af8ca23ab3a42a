"""What travels from a source to a task: how samples are cut (`Sampling`) and what one step gets (`Batch`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a task wants its samples cut out of the data; the default is one image each."""

    frames: int = 0
    """Frames of a clip (T); 0 asks for images."""
    fps: float | None = None
    """Frames a second inside a clip, by real frame times; None takes consecutive frames."""
    audio_seconds: float = 0.0
    """Seconds of sound centred on the middle of the clip; 0 asks for none."""
    clips_per_video: int = 1
    """Clips of one video in neighbouring rows of a batch."""
    min_gap: float = 0.0
    """Least seconds between the middles of two clips of one video in a batch."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's samples on the device. Absent modalities are None.

    Attributes:
        index: (N,) int64, which sample of the data each row comes from.
        image: (N, 3, H, W) uint8 RGB.
        video: (N, T, 3, H, W) uint8 RGB.
        audio: (N, S) float32 mono in [-1, 1].
        time: (N,) float32, seconds from the start of the video to the middle of the clip.
        label: (N,) int64 class index; only given to a task whose `needs` names "label".
    """

    index: Tensor
    image: Tensor | None = None
    video: Tensor | None = None
    audio: Tensor | None = None
    time: Tensor | None = None
    label: Tensor | None = None

    def __len__(self) -> int:
        return int(self.index.shape[0])

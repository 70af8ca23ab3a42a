"""Named inputs of a task: what one sample gives it, all at one moment and through one window. Imports no torch.

Every sample of a step has one moment, and one square window where its images are not square. An image is the frame at
that moment, a clip and its audio are centred on it, and a clip with `after` follows another clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from selftaught.core.names import unknown_name

ANCHOR = 3
"""Random numbers of every sample: the window along y and along x, then the moment."""
What = Literal["label", "mask", "depth", "pose"]


@dataclass(frozen=True)
class Input:
    """One input; use one of the kinds below."""

    takes: ClassVar[str]
    """Of "image", "video", "audio", "label", ...: what a source must provide for it."""

    @property
    def draws(self) -> int:
        """Random numbers that it takes beside those of the sample's moment and window."""
        return 0


@dataclass(frozen=True)
class Image(Input):
    """An image, (N, 3, H, W) uint8; of a video the frame at the moment."""

    takes: ClassVar[str] = "image"


@dataclass(frozen=True, kw_only=True)
class Clip(Input):
    """Frames of a video, (N, T, 3, H, W) uint8."""

    takes: ClassVar[str] = "video"

    frames: int
    """T, at least 1."""
    stride: int = 1
    """From one frame to the next, in frames of the video, where `fps` is None."""
    fps: float | None = None
    """Frames a second, chosen by the real times of the video's frames; None counts frames."""
    after: str = ""
    """Name of the clip that this one follows, one step of its own later; "" centres it on the moment."""
    gap: float | tuple[float, float] = 0.0
    """Further seconds between the two; (low, high) draws them for each sample."""

    def __post_init__(self) -> None:
        if self.frames < 1 or self.stride < 1 or (self.fps is not None and not self.fps > 0):
            raise ValueError(
                f"a Clip must have frames and stride of at least 1 and fps above 0, got {self.frames}, {self.stride} "
                f"and {self.fps}"
            )
        if self.fps is not None and self.stride != 1:
            raise ValueError(f"a Clip must have a stride or fps, not both, got {self.stride} and {self.fps:g}")
        low, high = self.gaps
        if not 0 <= low <= high or (high and not self.after):
            raise ValueError(f"the gap of a Clip must be 0 or more seconds from the clip it is `after`, got {self.gap}")

    @property
    def gaps(self) -> tuple[float, float]:
        """The least and the greatest gap in seconds."""
        return self.gap if isinstance(self.gap, tuple) else (self.gap, self.gap)

    @property
    def draws(self) -> int:
        return int(self.gaps[0] < self.gaps[1])


@dataclass(frozen=True, kw_only=True)
class Sound(Input):
    """Audio around the moment, (N, S) float32 mono in [-1, 1] at 16 kHz."""

    takes: ClassVar[str] = "audio"

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"the seconds of a Sound must be above 0, got {self.seconds:g}")


@dataclass(frozen=True)
class Computed(Input):
    """What a program computes once of every sample, such as optical flow; aligned with the input `like`."""

    takes: ClassVar[str] = ""

    program: str
    like: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of the program, by name, where they are not its defaults."""


@dataclass(frozen=True)
class Given(Input):
    """What people or sensors have added to the data.

    "label" is (N,) int64, the index of the class. Maps are cut by the window of the images: "mask" is (N, H, W) uint8,
    the class of each pixel or 255 where it is not known; "depth" is (N, H, W) float32 in metres, 0 where unknown.
    """

    what: What

    def __post_init__(self) -> None:
        if self.what not in get_args(What):
            raise ValueError(unknown_name("kind of Given", str(self.what), get_args(What)))

    @property
    def takes(self) -> str:  # type: ignore[override]
        return self.what


def check_inputs(inputs: Mapping[str, Input]) -> None:
    """Raise a ValueError of one sentence where the inputs do not fit together."""
    if not any(isinstance(one, Image | Clip | Sound) for one in inputs.values()):
        raise ValueError(f"a task must have an Image, a Clip or a Sound among its inputs, got {listed(inputs)}")
    if sum(isinstance(one, Sound) for one in inputs.values()) > 1:
        raise ValueError(f"a task may have one Sound among its inputs, got {listed(inputs)}")
    for name, one in inputs.items():
        if not isinstance(one, Input):
            raise ValueError(f"input {name!r} must be an Image, Clip, Sound, Computed or Given, got {one!r}")
        if isinstance(one, Clip) and one.after and not isinstance(inputs.get(one.after), Clip):
            raise ValueError(f"input {name!r} refers to {one.after!r}, which must be another clip of {listed(inputs)}")
        if isinstance(one, Computed) and not isinstance(inputs.get(one.like), Clip | Image):
            raise ValueError(
                f"input {name!r} refers to {one.like!r}, which must be an image or clip of {listed(inputs)}"
            )
        if name in leaders(inputs, name):
            raise ValueError(f"input {name!r} comes after itself; one clip must not be `after` another")


def leaders(inputs: Mapping[str, Input], name: str) -> list[str]:
    """The clips that a clip comes after, nearest first."""
    found: list[str] = []
    one = inputs.get(name)
    while isinstance(one, Clip) and one.after and one.after not in found:
        found.append(one.after)
        one = inputs.get(one.after)
    return found


def listed(inputs: Iterable[str]) -> str:
    """Their names, for an error."""
    return ", ".join(inputs) or "none"


def needs_of(inputs: Mapping[str, Input]) -> frozenset[str]:
    """What a source must provide for them; an image at the moment of a clip or of audio is a frame of a video."""
    return needs_of_kinds(one.takes for one in inputs.values())


def needs_of_kinds(takes: Iterable[str]) -> frozenset[str]:
    """As `needs_of`, from what each input takes."""
    found = {kind for kind in takes if kind}
    return frozenset(found - {"image"} | {"video"} if found & {"video", "audio"} else found)


def own_draws(inputs: Mapping[str, Input]) -> dict[str, int]:
    """Input -> the column of its random number among those of a sample, for those that take one."""
    drawn = [name for name, one in inputs.items() if one.draws]
    return {name: ANCHOR + place for place, name in enumerate(drawn)}

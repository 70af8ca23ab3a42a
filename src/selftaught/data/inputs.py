"""Named inputs of a task: what one sample gives it, all at one moment and through one window. Imports no torch.

Every sample of a step has one moment, and one square window where its images are not square. An image is the frame at
that moment, a clip and its audio are centred on it, and a clip with `after` follows another clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

from selftaught.core.names import unknown_name

ANCHOR = 3
"""Random numbers of every sample: the window along y and along x, then the moment."""
What = Literal[
    "label", "mask", "depth", "normals", "instances", "contours", "moving", "flow", "occlusion", "pose", "intrinsics"
]


@dataclass(frozen=True, kw_only=True)
class GivenKind:
    """How one kind of what is given with each frame is kept and read."""

    shape: tuple[int, ...] = ()
    """Of the value of a pixel, or of a frame where it is no map."""
    dtype: str
    """In a batch."""
    kept: str = ""
    """In a store, where that is another type."""
    is_map: bool = True
    """One value a pixel, cut by the window of the image."""

    @property
    def dtype_kept(self) -> str:
        """The type in a store."""
        return self.kept or self.dtype


GIVEN: Mapping[str, GivenKind] = MappingProxyType(
    {
        "mask": GivenKind(dtype="uint8"),
        "depth": GivenKind(dtype="float32"),
        "normals": GivenKind(dtype="float32", kept="float16", shape=(3,)),
        "instances": GivenKind(dtype="int16"),
        "contours": GivenKind(dtype="uint8"),
        "moving": GivenKind(dtype="uint8"),
        "flow": GivenKind(dtype="float32", shape=(2,)),
        "occlusion": GivenKind(dtype="uint8"),
        "pose": GivenKind(dtype="float32", shape=(4, 4), is_map=False),
        "intrinsics": GivenKind(dtype="float32", shape=(3, 3), is_map=False),
    }
)
"""All kinds of `Given` that belong to single frames; a label belongs to the whole sample."""


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
    whole: bool = True
    """Leave out videos that do not hold the clip; else the last frame of a shorter one is held."""

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

    "label" is (N,) int64, the index of the class. All others are of the frames of the input `like`: (N, ...) of an
    image, (N, T, ...) of a clip. Maps are cut by the window of the images:

    - "mask" (H, W) uint8, the class of each pixel, 255 where it is not known
    - "depth" (H, W) float32, metres along the optical axis, 0 where unknown
    - "normals" (3, H, W) float32, unit vectors in axes of the camera (right, down, forward), 0 where unknown
    - "instances" (H, W) int16, number of the object from 1 on, the same in all frames of a video; 0 is the background
    - "contours" (H, W) uint8, 1 where a pixel beside, above or below is of another instance
    - "moving" (H, W) uint8, 1 where an object moves in the world, 0 where not, 255 where unknown
    - "flow" (2, H, W) float32, (x, y) in pixels of the batch to the next frame of the video, as it is there
    - "occlusion" (H, W) uint8, 1 where what a pixel shows is hidden or outside in that next frame, 255 where unknown
    - "pose" (4, 4) float32, of the camera in the world: world = pose @ camera, metres, axes as of the normals
    - "intrinsics" (3, 3) float32, pixel = intrinsics @ camera for the image of the batch, (0.5, 0.5) being the middle
      of its first pixel
    """

    what: What
    like: str = ""
    """An image or clip; "" is the first image of the inputs, or the first clip where there is none."""

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
        is_like = isinstance(one, Computed) or (isinstance(one, Given) and one.what != "label")
        if is_like and not isinstance(inputs.get(like := liked(inputs, name)), Clip | Image):
            raise ValueError(f"input {name!r} refers to {like!r}, which must be an image or clip of {listed(inputs)}")
        if name in leaders(inputs, name):
            raise ValueError(f"input {name!r} comes after itself; one clip must not be `after` another")


def liked(inputs: Mapping[str, Input], name: str) -> str:
    """The image or clip whose frames a computed or given input is of; "" where there is none."""
    one = inputs[name]
    if isinstance(one, Computed) or (isinstance(one, Given) and one.like):
        return one.like
    images = [other for other, its in inputs.items() if isinstance(its, Image)]
    clips = [other for other, its in inputs.items() if isinstance(its, Clip)]
    return (*images, *clips, "")[0]


def has_channels(one: Given) -> bool:
    """Whether it is a map of vectors."""
    return one.what in GIVEN and GIVEN[one.what].is_map and bool(GIVEN[one.what].shape)


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
    """What a source must provide for them; an image at the moment of a clip or of audio is a frame of a video.

    Audio alone needs no video.
    """
    return needs_of_kinds(one.takes for one in inputs.values())


def needs_of_kinds(takes: Iterable[str]) -> frozenset[str]:
    """As `needs_of`, from what each input takes."""
    found = {kind for kind in takes if kind}
    is_moment = "video" in found or {"image", "audio"} <= found
    return frozenset(found - {"image"} | {"video"} if is_moment else found)


def own_draws(inputs: Mapping[str, Input]) -> dict[str, int]:
    """Input -> the column of its random number among those of a sample, for those that take one."""
    drawn = [name for name, one in inputs.items() if one.draws]
    return {name: ANCHOR + place for place, name in enumerate(drawn)}

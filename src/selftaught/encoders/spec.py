"""What a task asks of the encoders that it trains; imports no torch, as the command line reads it from task files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from selftaught.core.names import unknown_name
from selftaught.encoders.names import Kind

USUAL: Mapping[Kind, str] = {"image": "resnet18", "video": "r3d_18", "audio": "audio_convnet"}
"""Kind -> the architecture that is taken where none is given."""
USUAL_OF_TOKENS: Mapping[Kind, str] = {"image": "timm:vit_tiny_patch16_224", "video": "videovit_tiny"}
"""Likewise, where it must be a `TokenEncoder`."""
TAKES: Mapping[Kind, str] = {"image": "images", "video": "clips", "audio": "audio"}
"""Kind -> what people call it."""
COLOURS = 3
"""Channels of the images and clips that data give."""


@dataclass(frozen=True)
class EncoderSpec:
    """What a task asks of one encoder.

    Raises:
        ValueError: where there is no such kind, way to see, or number of channels.
    """

    kind: Kind
    """What it must take; another architecture is refused before anything is read."""
    sees: Literal["", "grey", "split"] = ""
    """How it sees images or frames (`encoders.inputs`), unless a prefix on the encoder's name says otherwise."""
    channels: int = COLOURS
    """Of its images or clips: 2 of one field of flow, 20 of ten. Audio has one, whatever is written here."""
    default: str = ""
    """Architecture where none is given, without a prefix; by default `USUAL` or `USUAL_OF_TOKENS`."""
    tokens: bool = False
    """Whether it must be a `TokenEncoder`, for tasks that hide or compare patches."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(unknown_name("kind of EncoderSpec", str(self.kind), get_args(Kind)))
        if self.sees not in ("", "grey", "split"):
            raise ValueError(unknown_name("value of sees in EncoderSpec", str(self.sees), ("grey", "split")))
        if not isinstance(self.channels, int) or self.channels < 1:
            raise ValueError(f"channels of EncoderSpec must be a whole number from 1 on, got {self.channels!r}")
        if self.tokens and self.kind not in USUAL_OF_TOKENS:
            raise ValueError(f"EncoderSpec with tokens must be of kind image or video, got {self.kind}")
        kinds = ("image",) if self.sees == "split" else ("image", "video")
        if self.sees and (self.kind not in kinds or self.channels != COLOURS):
            of = " or ".join(kinds)
            raise ValueError(f"EncoderSpec with sees={self.sees!r} must be of kind {of} with {COLOURS} channels")

    @property
    def prefix(self) -> str:
        """As it is written before an encoder's name: "grey:", "20ch:", or nothing."""
        if self.kind == "audio" or self.channels == COLOURS:
            return f"{self.sees}:" if self.sees else ""
        return f"{self.channels}ch:"

    @property
    def architecture(self) -> str:
        """The encoder's name where none is given."""
        return self.prefix + self.usual

    @property
    def usual(self) -> str:
        """The same without a prefix."""
        return self.default or (USUAL_OF_TOKENS if self.tokens else USUAL)[self.kind]

    @property
    def takes_data(self) -> bool:
        """Whether it takes what data give, so that it can be measured."""
        return self.kind == "audio" or self.channels == COLOURS


ONE: Mapping[str, EncoderSpec] = {"encoder": EncoderSpec("image")}
"""What most tasks train."""


def check_names(task: str, encoders: Mapping[str, EncoderSpec], kept: str) -> None:
    """Refuse names of encoders that no flag or checkpoint could have, and a kept one that data cannot be fed to."""
    if "encoder" not in encoders:
        raise ValueError(
            f"task {task!r} must name one of its encoders 'encoder', which --encoder sets, got {', '.join(encoders)}"
        )
    for name in encoders:
        if not name.isidentifier() or (name != "encoder" and not name.endswith("_encoder")):
            raise ValueError(
                f"task {task!r} names an encoder {name!r}; further encoders end in _encoder, such as flow_encoder, "
                "which --flow-encoder sets"
            )
    if not kept_spec(encoders, kept).takes_data:
        raise ValueError(
            f"task {task!r} keeps {kept!r}, an encoder of {kept_spec(encoders, kept).channels} channels, but data give "
            f"images of {COLOURS}; let `kept` name another one"
        )


def kept_spec(encoders: Mapping[str, EncoderSpec], kept: str) -> EncoderSpec:
    """What the kept module is: a module that is none of the encoders, such as "teacher", is a copy of "encoder"."""
    return encoders.get(kept, encoders["encoder"])

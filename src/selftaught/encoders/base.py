"""The protocol of every encoder: pooled features, unpooled features, and named stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Kind = Literal["image", "video", "audio"]


@dataclass(frozen=True)
class EncoderSpec:
    """What a task asks of an encoder that it trains."""

    kind: Kind
    """What it must take; a mismatch is an error before anything is read."""
    sees: Literal["", "grey", "split"] = ""
    """How it sees images (`encoders.inputs`), unless a prefix on the encoder's name says otherwise."""

    @property
    def prefix(self) -> str:
        """As it is written before an encoder's name: "grey:", or nothing."""
        return f"{self.sees}:" if self.sees else ""


class Encoder(nn.Module, ABC):
    """A network that is kept after pretraining. Pixels come normalised, sound as log-mel pictures.

    Attributes:
        name: as on the command line, e.g. "resnet18" or "timm:vit_small_patch16_224".
        kind: "image" takes (N, 3, H, W), "video" (N, 3, T, H, W), "audio" (N, 1, mels, steps).
        num_features: D, the length of a pooled feature vector.
        stages: names, first to last, at which features can be read.
    """

    name: str
    kind: Kind
    num_features: int
    stages: tuple[str, ...]

    @abstractmethod
    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        """Features after every stage, unpooled: (N, C, H, W), (N, C, T, H, W) or (N, L, D) tokens."""

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Features after the last stage, unpooled."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (N, num_features)."""

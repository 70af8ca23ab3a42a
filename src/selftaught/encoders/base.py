"""The protocol of every encoder: pooled features, unpooled features, and named stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor, nn

from selftaught.encoders.inputs import INPUTS
from selftaught.encoders.names import Kind
from selftaught.encoders.spec import EncoderSpec as EncoderSpec

StageKind = Literal["map", "clip", "tokens", "sequence"]
"""(N, C, H, W), (N, C, T, H, W), (N, L, D) of patches behind class and register tokens, (N, T, D) over time."""


class Encoder(nn.Module, ABC):
    """A network that is kept after pretraining. Pixels are normalised; audio is given as log-mel images.

    Attributes:
        name: as on the command line, e.g. "resnet18" or "timm:vit_small_patch16_224".
        kind: "image" takes (N, channels, H, W), "video" (N, channels, T, H, W), "audio" (N, 1, mels, steps).
        sees: "" for normalised colour images or clips as they are, or a name of `inputs.INPUTS`.
        channels: 3 unless the name begins with another number, as in "20ch:resnet18".
        num_features: D, the length of a pooled feature vector.
        stages: names, first to last, at which features can be read.
        clip_seen: how clips are cut where it is evaluated: frames, and stride or fps, as in `data.inputs.Clip`; empty
            for the usual 16 frames.
        transform: from an image of a file, of Pillow or in memory to what the encoder takes; only that of
            `selftaught.load_encoder` has it, see `features.transform`.
    """

    name: str
    kind: Kind
    sees: str = ""
    channels: int = 3
    num_features: int
    stages: tuple[str, ...]
    clip_seen: Mapping[str, float] = MappingProxyType({})
    transform: Callable[[Any], Tensor]

    def seen(self, x: Tensor) -> Tensor:
        """Images or clips as the network behind `sees` takes them."""
        return INPUTS[self.sees](x) if self.sees else x

    def stage_kind(self, stage: str) -> StageKind:
        """What the features of a stage are; a clip for encoders of video, else a map, unless overridden."""
        return "clip" if self.kind == "video" else "map"

    def token_grid(self, stage: str, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patches that a stage of tokens has for images of `height` x `width` pixels.

        The patches are the last rows x columns tokens, row by row.

        Raises:
            ValueError: where the stage is not one of tokens.
        """
        raise ValueError(f"stage {stage!r} of encoder '{self.name}' is a {self.stage_kind(stage)} and has no tokens")

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        """The module whose output goes on from this stage to the next, and the axis of that output with the channels.

        Rows of the output are images or clips, or frames of clips, one clip after the other.

        Raises:
            ValueError: where no module gives it.
        """
        raise ValueError(
            f"encoder '{self.name}' has no module that gives its stage {stage!r} alone; choose another --encoder, such "
            "as r3d_18, r2plus1d_18 or mean:resnet18"
        )

    @abstractmethod
    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        """Features after every stage, unpooled, as `stage_kind` says of each."""

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Features after the last stage, unpooled."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (N, num_features)."""


class TokenEncoder(Encoder):
    """An encoder of images or clips that takes and gives patches one by one, for tasks that hide some of them.

    `forward_tokens(embed_patches(x)[0])` is `forward_features(x)`; the patches of clips are cubes, and the features of
    clips are the tokens on the grid of the cubes.

    Attributes:
        token_features: D, the length of a token.
        num_prefix_tokens: P, class and register tokens, which come before the patches.
    """

    token_features: int
    num_prefix_tokens: int

    @abstractmethod
    def embed_patches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) or clips (N, 3, T, H, W) -> one token for each patch, row by row, and where they are.

        Returns:
            (N, L, D), with the embedding of the position added; and (L, 2) int64, row and column on the grid, or (L, 3)
            with the time before them.
        """

    @abstractmethod
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Any K of the patches, in any order: (N, K, D) of `embed_patches` -> (N, P + K, D) after the last stage."""

    @abstractmethod
    def fix_positions(self) -> None:
        """Make the embeddings of positions sines and cosines that do not learn; those of prefix tokens become 0."""

"""LRCN (Donahue et al., CVPR 2015, https://arxiv.org/abs/1411.4389): an LSTM over the features of the frames."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn

from selftaught.encoders.base import Encoder, StageKind
from selftaught.encoders.video.frames import features_of_frames, stages_of_frames

HIDDEN = 256
"""Units of the LSTM, as the paper has over colour frames."""


@final
class LstmEncoder(Encoder):
    """`lstm:resnet18`: the pooled features of each frame go through an LSTM of 256 units.

    Stages are those of the encoder of images, as clips (N, C, T, H, W), and "lstm", a sequence (N, T, 256) of which
    each state has seen all frames up to its own. The pooled features are the mean of these states over time, as the
    paper averages what it predicts after every frame.

    Attributes:
        image: the encoder of images.
        lstm: takes (N, T, image.num_features).
    """

    kind: Literal["video"] = "video"

    def __init__(self, name: str, image: Encoder) -> None:
        super().__init__()
        self.name = name
        self.image = image
        self.lstm = nn.LSTM(image.num_features, HIDDEN, batch_first=True)
        self.channels = image.channels
        self.num_features = HIDDEN
        self.stages = (*image.stages, "lstm")

    def stage_kind(self, stage: str) -> StageKind:
        return "sequence" if stage == "lstm" else super().stage_kind(stage)

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return self.image.stage_output(stage)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return stages_of_frames(self.image, x) | {"lstm": self.forward_features(x)}

    def forward_features(self, x: Tensor) -> Tensor:
        states: Tensor = self.lstm(features_of_frames(self.image, x))[0]
        return states

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean(1)

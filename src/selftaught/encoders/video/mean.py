"""An encoder of images as an encoder of clips: the features of all frames, averaged over time."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.video.frames import features_of_frames, last_of_frames, stages_of_frames


@final
class MeanEncoder(Encoder):
    """`mean:resnet18`: knows what is seen, and nothing of the order of the frames.

    Stages are those of the encoder of images, as clips (N, C, T, H, W).

    Attributes:
        image: the encoder of images; all weights are its own.
    """

    kind: Literal["video"] = "video"

    def __init__(self, name: str, image: Encoder) -> None:
        super().__init__()
        self.name = name
        self.image = image
        self.channels = image.channels
        self.num_features = image.num_features
        self.stages = image.stages

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return self.image.stage_output(stage)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return stages_of_frames(self.image, x)

    def forward_features(self, x: Tensor) -> Tensor:
        return last_of_frames(self.image, x)

    def forward(self, x: Tensor) -> Tensor:
        return features_of_frames(self.image, x).mean(1)

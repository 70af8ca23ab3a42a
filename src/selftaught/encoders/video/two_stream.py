"""Two streams (Simonyan & Zisserman, NeurIPS 2014, https://arxiv.org/abs/1406.2199): one frame, and stacked flow."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.encoders.video.frames import frames_of, stages_of_frames


@final
class TwoStreamEncoder(Encoder):
    """`twostream:resnet18`: what is seen in the middle frame, beside how everything moves; fused late.

    The pooled features are those of both streams one after the other, which a classifier on top weighs as the paper's
    SVM does. Stages are "image_" and "flow_" before those of the encoder of images, as clips of one frame
    (N, C, 1, H, W), and "fused", the last stages of both, one after the other.

    Attributes:
        image: the spatial stream, which takes the middle frame.
        flow: the temporal stream.
    """

    kind: Literal["video"] = "video"
    least_frames = 2
    """Of a clip to learn from: one frame has no flow."""

    def __init__(self, name: str, image: Encoder, flow: ClipImageEncoder) -> None:
        super().__init__()
        self.name = name
        self.image = image
        self.flow = flow
        self.num_features = image.num_features + flow.num_features
        streams = (*(f"image_{stage}" for stage in image.stages), *(f"flow_{stage}" for stage in flow.stages))
        self.stages = (*streams, "fused")

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        image = stages_of_frames(self.image, _middle(x))
        flow = self.flow.forward_stages(x)
        fused = torch.cat([image[self.image.stages[-1]], flow[self.flow.stages[-1]]], 1)
        streams = {f"image_{stage}": features for stage, features in image.items()}
        return streams | {f"flow_{stage}": features for stage, features in flow.items()} | {"fused": fused}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["fused"]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.image(frames_of(_middle(x))), self.flow(x)], 1)


def _middle(clips: Tensor) -> Tensor:
    """The middle frame as a clip (N, C, 1, H, W)."""
    middle = clips.shape[2] // 2
    return clips[:, :, middle : middle + 1]

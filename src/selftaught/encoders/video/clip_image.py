"""An encoder of images as an encoder of clips that sees the motion of a clip as one image of many channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, final

from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import channels_first, stage_features
from selftaught.ops.clip_images import difference_stack, dynamic_image, flow_stack, sum_of_differences

IMAGES: Mapping[str, Callable[..., Tensor]] = {
    "flow": flow_stack,
    "differences": difference_stack,
    "sumdiff": sum_of_differences,
    "dynamic": dynamic_image,
}
"""Prefix of the encoder's name -> the image of normalised clips (N, C, T, H, W), and how many it stacks, if it does."""


@final
class ClipImageEncoder(Encoder):
    """`flow:resnet18`, `differences:resnet18`, `sumdiff:resnet18`, `dynamic:resnet18`.

    `flow` is the temporal stream of Simonyan & Zisserman, NeurIPS 2014 (https://arxiv.org/abs/1406.2199): 10 fields of
    optical flow, 20 channels. The others are the clip encodings of Fernando et al., CVPR 2017
    (https://arxiv.org/abs/1611.06646): a stack of 5 differences of successive frames, the sum of the differences of all
    pairs of frames, and the dynamic image of Bilen et al., CVPR 2016. All are computed from the frames that the encoder
    is given, see `ops.clip_images`, so a clip that is mirrored, rotated or played backwards has the motion that it
    shows.

    Stages are those of the encoder of images, as clips of one frame (N, C, 1, H, W). In `differences:grey:resnet18` the
    frames are grey before the image is computed from them.

    Attributes:
        image: the encoder of images, for as many channels as the image of a clip has.
        how: one of `IMAGES`.
        count: fields or differences that are stacked; 0 where nothing is.
    """

    kind: Literal["video"] = "video"
    least_frames = 2
    """Of a clip to learn from: the image of one frame is blank."""

    def __init__(self, name: str, image: Encoder, how: str, count: int, channels: int, *, sees: str = "") -> None:
        super().__init__()
        self.name = name
        self.image = image
        self.how = how
        self.count = count
        self.channels = channels
        self.sees = sees
        self.num_features = image.num_features
        self.stages = image.stages

    @property
    def expression(self) -> str:
        """Python for the image of clips `x`."""
        clips = f"selftaught.encoders.inputs.see_{self.sees}(x)" if self.sees else "x"
        return f"selftaught.ops.clip_images.{IMAGES[self.how].__name__}({', '.join([clips, *map(str, self._stacked)])})"

    @property
    def _stacked(self) -> tuple[int, ...]:
        return (self.count,) if self.count else ()

    def see(self, x: Tensor) -> Tensor:
        """The image of each clip: (N, channels, T, H, W) -> (N, image.channels, H, W)."""
        made: Tensor = IMAGES[self.how](self.seen(x), *self._stacked)
        return made

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return self.image.stage_output(stage)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {stage: features[:, :, None] for stage, features in stage_features(self.image, self.see(x)).items()}

    def forward_features(self, x: Tensor) -> Tensor:
        found = self.image.forward_features(self.see(x))
        return channels_first(self.image, self.stages[-1], found, x.shape[-2], x.shape[-1])[:, :, None]

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.image(self.see(x))
        return pooled

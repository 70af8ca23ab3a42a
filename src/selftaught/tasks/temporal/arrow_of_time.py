"""The arrow of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.stabilise import camera_shifts, stabilised_boxes
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder, shown


@dataclass
class Example:
    """G groups of frames of each clip (N G, 3, L, S, S), normalised, and whether it plays forwards (N,) float32."""

    groups: Tensor
    forwards: Tensor


class ArrowOfTime(PretextTask):
    """Predict whether a clip plays forwards or backwards (Wei, Lim, Zisserman, Freeman, CVPR 2018).

    Link: https://openaccess.thecvf.com/content_cvpr_2018/html/Wei_Learning_and_Using_CVPR_2018_paper.html

    Flow: clip (N, T, 3, H, W) -> camera stabilised, bars cut off, half of the clips reversed -> G groups of L frames
    (N G, 3, L, S, S) -> shared 2-D network of the L - 1 fields of optical flow of a group (`flow:resnet18`), up to its
    last convolutions (N G, C, h, w) -> concatenated over the groups (N, G C, h, w) -> 3 x 3 convolutions, global
    average pooling (N, F) -> linear (N) -> logistic loss. This is the paper's temporal class activation map (T-CAM):
    the linear layer on every cell instead of their mean shows where the direction of time is seen.

    Things fall, break, spread and are carried in one direction of time; to see it, the network must know what moves
    how. Motion is given as flow, computed from the frames that the encoder is given, so it is that of the reversed
    clip; an encoder of frames (`--encoder r3d_18`) sees the frames of each group as they are.

    Shortcut: black bars are compressed differently over time, cameras move forwards, zoom in and pan by habit, and
    frames of H.264 follow each other in a fixed rhythm of quality. Guard: bars and the border are cut off; the camera
    is stabilised: the window follows the movement of the scene (`ops.clips.stabilise`); each frame has its own blur and
    noise (`ops.clips.windows`), more than compression leaves; clips are mirrored at random. Accuracy is at chance on
    clips of one repeated frame, of noise, with borders that change, and compressed.

    Differences from the paper: the camera's movement is a shift for each frame, where the paper estimates homographies;
    blur and noise are additions; the network of flow is a ResNet by default instead of a VGG-16, and flow is computed
    by a fast method on the frames shown (`ops.clip_images`); 2 groups of 10 fields are the paper's; three 3 x 3
    convolutions as described there (two in its published code), narrower by default; AdamW with a cosine instead of SGD
    with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="flow:resnet18")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        groups: Annotated[int, Range(least=1)] = 2
        """Groups of frames (G)."""
        frames: Annotated[int, Range(least=2)] = 11
        """Frames of a group (L); the last one is the first of the next group, so that every field of flow is seen."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames, in frames of the video."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the largest that fits in all frames."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of each frame, which hide traces of a codec; 0, the paper's, for
        none."""
        width: Annotated[int, Range(least=1)] = 256
        """Channels F of the convolutions over all groups; 1024 in the paper."""
        convolutions: Annotated[int, Range(least=1)] = 3
        """Number of these convolutions."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate after each of them."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        layers: list[nn.Module] = []
        channels = config.groups * _channels(encoder, config.frames, size)
        for _ in range(config.convolutions):
            layers += [nn.Conv2d(channels, config.width, 3, padding=1, bias=False), nn.BatchNorm2d(config.width)]
            layers += [nn.ReLU(), nn.Dropout(config.dropout)]
            channels = config.width
        self.fusion = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 1)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.groups * (config.frames - 1) + 1, stride=config.stride)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A group of frames."""
        return Clip(frames=config.frames, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of G groups each."""
        video, config = batch["video"], self.config
        n, t = video.shape[:2]
        boxes = stabilised_boxes(
            rng, areas=inner_areas(video, self.size), shifts=camera_shifts(video), least_side=config.least_side
        )
        cut = degraded_crop(video.flatten(0, 1)[:, None], boxes.flatten(0, 1), self.size, rng, strength=config.degrade)
        frames = cut.view(n, t, 3, self.size, self.size)
        forwards = torch.randint(2, (n,), generator=rng, device=rng.device)
        played = torch.where(forwards[:, None, None, None, None] == 1, frames, frames.flip(1))
        # Neighbouring groups share a frame.
        groups = played.unfold(1, config.frames, config.frames - 1).movedim(-1, 2)
        return Example(for_encoder(groups), forwards.float())

    def forward(self, example: Example) -> Tensor:
        """Logits (N,); above 0 is forwards."""
        logits: Tensor = self.head(self.fused(example).mean((2, 3)))[:, 0]
        return logits

    def fused(self, example: Example) -> Tensor:
        """Maps (N, F, h, w) of all groups."""
        maps = _maps(self.encoder.forward_features(example.groups))
        fused: Tensor = self.fusion(maps.unflatten(0, (-1, self.config.groups)).flatten(1, 2))
        return fused

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Logistic loss and accuracy."""
        right = (prediction.detach() > 0) == (example.forwards > 0)
        return {
            "loss": F.binary_cross_entropy_with_logits(prediction.float(), example.forwards),
            "accuracy": right.float().mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The clip as it is played."""
        chance = prediction.detach().float().sigmoid()
        g, found = self.config.groups, []
        for n in range(min(count, len(chance))):
            first, *others = [shown(group) for group in example.groups[g * n : g * n + g]]
            # Neighbouring groups share a frame.
            found.append(
                Shown(
                    inputs=[torch.cat([first, *(group[1:] for group in others)])],
                    pseudo_label="forwards" if example.forwards[n] > 0 else "played backwards",
                    prediction=f"forwards: {float(chance[n]):.2f}",
                )
            )
        return found


def _maps(features: Tensor) -> Tensor:
    """Unpooled features of any encoder of clips as maps (M, C, h, w): means over time; a sequence has one cell."""
    return features.mean(1)[:, :, None, None] if features.ndim == 3 else features.mean(2)


@torch.no_grad()
def _channels(encoder: Encoder, frames: int, size: int) -> int:
    """C of `_maps`."""
    was_training, device = encoder.training, next(encoder.parameters()).device
    clip = torch.zeros(1, encoder.channels, frames, size, size, device=device)
    found = _maps(encoder.eval().forward_features(clip))
    encoder.train(was_training)
    return found.shape[1]

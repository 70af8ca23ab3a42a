"""Pose from action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_boxes
from selftaught.ops.draw_maps import draw_maps
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.flow_crops import flow_stacks, played_backwards

KINDS = ("another video", "the same clip backwards", "its own")
"""Of the flow that is shown with two frames; the last is true."""


@dataclass
class Example:
    """First frames, then last ones (2 N, 3, S, S), normalised, and stacks of flow (N, 2 F, S, S).

    `kind` (N,) int64 is the place among `KINDS` of each flow.
    """

    images: Tensor
    flows: Tensor
    kind: Tensor


class PoseAction(PretextTask):
    """Tell whether a motion turns the pose in one frame into that in another (Purushwalkam, Gupta, ECCV workshops
    2016).

    Link: https://arxiv.org/abs/1609.05420 (Pose from Action)

    Flow: clip of F + 1 frames (N, F + 1, 3, H, W) and the flow after each (N, F + 1, 2, H, W) -> first and last frame
    (2 N, 3, S, S), and a stack of F fields of flow (N, 2 F, S, S): in half of the rows that between these frames,
    otherwise that of another video or the same one played backwards -> encoder of images, shared by both frames, and
    encoder of flow -> a linear layer of `width` units on each map -> both frames and the flow, one after the other ->
    two linear layers (N, 2) -> cross entropy with whether the flow is that between the frames.

    Whether a motion leads from one pose to the other can only be told by features of pose: where the parts of a body
    are, and which way they went.

    The held-out metric is the accuracy; chance is 1/2. `accuracy_backwards` and `accuracy_other` are those of frames
    with a flow of either wrong kind.

    Shortcut: where something moves matches where something is, whatever its pose; a flow may be known as wrong by
    itself, as people walk forwards; black bars are seen in both. Guard: flow played backwards is at the right place,
    and a share `hard` of the wrong flows is such; half of all clips are played backwards as a whole, frames and flow,
    so that flow alone and frames alone say nothing; windows are cut between the bars, and frames have blur and noise of
    their own. On frames that do not change, accuracy on flow played backwards stays at chance.

    Differences from the paper: flow is that of DIS, cut at 20 pixels of 224, its mean taken off; any encoders instead
    of VGG-M; the flow of backwards clips as wrong flow, mirror images, blur and noise.
    """

    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("image"),
        "flow_encoder": EncoderSpec("image", channels=24),
    }

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 12
        """Frames F whose flow, one field after each, is stacked; the second frame is the one after them."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames, in frames of the video."""
        hard: Annotated[float, Range(least=0, most=1)] = 0.5
        """Share of the wrong flows that are of the same clip, played backwards; the others are of other videos."""
        width: Annotated[int, Range(least=1)] = 512
        """Units of each of the layers behind the encoders."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.4
        """Smallest share of the frame's area that a window covers."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise of frames; 0, the paper's, for none."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate before the last layer."""

    def __init__(self, encoder: Encoder, config: Config, size: int, *, flow_encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.flow_encoder = flow_encoder
        self.config = config
        self.size = size
        self.appearance = _layer(encoder, size, config.width)
        self.motion = _layer(flow_encoder, size, config.width)
        self.transformation = nn.Sequential(
            nn.Linear(3 * config.width, config.width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, 2),
        )

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        return {"encoder": EncoderSpec("image"), "flow_encoder": EncoderSpec("image", channels=2 * config.frames)}

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {
            "video": Clip(frames=config.frames + 1, stride=config.stride),
            "flow": Computed("optical_flow", like="video"),
        }

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A single frame."""
        return Clip(frames=1, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, F + 1, 3, H, W) uint8 and flow (N, F + 1, 2, H, W) in pixels to the next frame -> `Example`."""
        video, flow, config = batch["video"], batch["flow"], self.config
        kind, reverse = self.draw(batch.index, rng)
        areas = inner_areas(video, self.size)
        scale = (config.min_scale, 1.0)
        boxes = random_boxes(len(video), areas[:, 2], areas[:, 3], rng, scale=scale, ratio=(1, 1))
        boxes = torch.cat([boxes[:, :2] + areas[:, :2], boxes[:, 2:]], 1)
        ends = video[:, [0, -1]]
        ends = torch.where(reverse[:, None, None, None, None], ends.flip(1), ends).transpose(0, 1).flatten(0, 1)
        frames = degraded_crop(ends[:, None], boxes.repeat(2, 1), self.size, rng, strength=config.degrade)[:, 0]
        shown = played_backwards(flow[:, :-1], reverse ^ (kind == 1))
        # That of another video keeps the window of its own frames.
        source = torch.where(kind == 0, _another(batch.index), torch.arange(len(video), device=video.device))
        stacks = flow_stacks(shown, boxes, self.size, frame=(video.shape[-2], video.shape[-1]))
        return Example(normalise(frames), stacks[source], kind)

    def draw(self, video: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """The place among `KINDS` (N,) int64 of the flow of each row, and whether its clip is played backwards."""
        drawn = uniform((3, len(video)), 0, 1, rng)
        is_hard = (drawn[1] < self.config.hard) | (video[_another(video)] == video)
        wrong = torch.where(is_hard, 1, 0)
        return torch.where(drawn[0] < 0.5, 2, wrong), drawn[2] < 0.5

    def forward(self, example: Example) -> Tensor:
        """Logits (N, 2): the flow is not, or is, that between the frames."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        before, after = self.appearance(last_map(self.encoder, images)).chunk(2)
        moved = self.motion(last_map(self.flow_encoder, example.flows.contiguous(memory_format=torch.channels_last)))
        logits: Tensor = self.transformation(torch.cat([before, after, moved], 1))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy and accuracy, also of the two kinds of wrong flow."""
        logits, label = prediction.float(), (example.kind == 2).long()
        hits = (logits.detach().argmax(1) == label).float()
        other, backwards = ((example.kind == kind).float() for kind in (0, 1))
        return {
            "loss": F.cross_entropy(logits, label),
            "accuracy": hits.mean(),
            "accuracy_other": (hits * other).sum() / other.sum().clamp(min=1),
            "accuracy_backwards": (hits * backwards).sum() / backwards.sum().clamp(min=1),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Both frames and the middle field of the flow, what it is, and whether it is believed."""
        count = min(count, len(prediction))
        first, second = denormalise(example.images).chunk(2)
        middle = example.flows.unflatten(1, (-1, 2))[:count, self.config.frames // 2]
        drawn = draw_maps(list(middle), "flow")
        probability = prediction.detach().float().softmax(1)[:, 1]
        return [
            Shown(
                inputs=[first[n], drawn[n], second[n]],
                pseudo_label=f"flow of {KINDS[int(example.kind[n])]}",
                prediction=f"between the frames with probability {float(probability[n]):.2f}",
            )
            for n in range(count)
        ]


def _another(video: Tensor) -> Tensor:
    """For each row the next one, in a circle, of another video, (N,) int64; itself where there is none."""
    count = len(video)
    order = torch.arange(count, device=video.device)
    ahead = (order[None] - order[:, None]) % count
    best: Tensor = torch.where(video[:, None] == video[None], count, ahead).argmin(1)
    return torch.where((video[:, None] == video[None]).all(1), order, best)


def _layer(encoder: Encoder, size: int, width: int) -> nn.Sequential:
    channels, side = map_shape(encoder, size)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, width), nn.ReLU())

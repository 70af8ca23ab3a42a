"""Cross and Learn: frames and flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.crop import random_boxes
from selftaught.ops.draw_maps import draw_maps
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.flow_crops import flow_stacks, played_backwards
from selftaught.tasks.parts.clips.short_clips import for_encoder, one_channel, shown


@dataclass
class Example:
    """Frames (N, 3, S, S), or short clips (N, 3, L, S, S), and stacks of flow (N, 2 F, S, S), normalised.

    `video` (N,) int64 is the number of each row's video.
    """

    images: Tensor
    flows: Tensor
    video: Tensor


class RgbFlow(PretextTask):
    """Give a frame and its optical flow similar features, and other frames and flows different ones (Sayed, Brattoli,
    Ommer, GCPR 2018).

    Link: https://arxiv.org/abs/1811.03879 (Cross and Learn)

    Flow: clip of F frames (N, F, 3, H, W) and the flow after each (N, F, 2, H, W) -> middle frame (N, 3, S, S) and
    stack of flow (N, 2 F, S, S), each cut on its own -> encoder of images, encoder of flow -> layer of `width`
    features each, ReLU: a, b (N, D) -> loss = diversity - cross-modal similarity, where the second is the mean of
    cos(a_i, b_i) and the first that of (cos(a_i, a_j) + cos(b_i, b_j)) / 2 over pairs i, j of different videos.

    What both see is what is there and acts: appearance that says nothing of motion, and motion that says nothing of
    what moves, cannot be shared. Diversity keeps the features from being the same for all videos; taken within each
    modality, it is not satisfied by what is noise of one of them.

    The metric is the share of frames whose most similar flow of the batch is their own; chance is 1 / N.

    Shortcut: black bars are seen by both, and so are the place of an edge and, through noise, the colour. Guard:
    windows are cut between the bars, at another place and size for the frame than for its flow, and mirrored
    independently; channels are split (one channel of colour, copied), and frames have random blur and noise.

    Differences from the paper: diversity is over all pairs of a batch instead of one drawn partner, the same on average
    (`gather_rows` of all processes); flow is that of DIS instead of TV-L1, cut at 20 pixels of 224, its mean taken off;
    blur and noise, and windows of random size, are additions; the paper prefers moments of much motion, this task draws
    them uniformly. The layer is on pooled features instead of CaffeNet's fc6.
    """

    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("image"),
        "flow_encoder": EncoderSpec("image", channels=20),
    }

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 10
        """Frames F whose flow, one field after each, is stacked."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames, in frames of the video."""
        clip: Annotated[int, Range(least=1)] = 1
        """Frames of the short clip that stands for the frame, in the middle of the frames; above 1 --encoder is one of
        clips."""
        positive: Annotated[float, Range(above=0, below=1)] = 0.5
        """Weight of the cross-modal similarity; that of diversity is the rest to 1."""
        width: Annotated[int, Range(least=1)] = 512
        """Features D that are compared."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.4
        """Smallest share of the frame's area that a window covers."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise of frames; 0, the paper's, for none."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.clip > self.frames:
                raise ValueError(
                    f"--task.clip must be at most --task.frames, got {self.clip} and {self.frames}; lower the first"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int, *, flow_encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.flow_encoder = flow_encoder
        self.config = config
        self.size = size
        self.head = _layer(encoder.num_features, config.width)
        self.flow_head = _layer(flow_encoder.num_features, config.width)

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        return {
            "encoder": EncoderSpec("video" if config.clip > 1 else "image"),
            "flow_encoder": EncoderSpec("image", channels=2 * config.frames),
        }

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {
            "video": Clip(frames=config.frames, stride=config.stride),
            "flow": Computed("optical_flow", like="video"),
        }

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, F, 3, H, W) uint8 and flow (N, F, 2, H, W) in pixels to the next frame -> `Example`."""
        video, flow, config = batch["video"], batch["flow"], self.config
        reverse = uniform((len(video),), 0, 1, rng) < 0.5
        areas = inner_areas(video, self.size)
        start = (config.frames - config.clip) // 2
        middle = video[:, start : start + config.clip]
        seen = torch.where(reverse[:, None, None, None, None], middle.flip(1), middle)
        boxes, flow_boxes = self._windows(areas, rng), self._windows(areas, rng)
        frames = degraded_crop(seen, boxes, self.size, rng, strength=config.degrade)
        height, width = video.shape[-2:]
        stacks = flow_stacks(played_backwards(flow, reverse), flow_boxes, self.size, frame=(height, width))
        return Example(for_encoder(one_channel(frames[:, None], rng)), stacks, batch.index)

    def forward(self, example: Example) -> tuple[Tensor, Tensor]:
        """Features (N, D) of frames and of flows, of length 1."""
        seen = self.head(self.encoder(example.images))
        moved = self.flow_head(self.flow_encoder(example.flows.contiguous(memory_format=torch.channels_last)))
        return F.normalize(seen.float(), dim=1, eps=1e-3), F.normalize(moved.float(), dim=1, eps=1e-3)

    def loss(self, prediction: tuple[Tensor, Tensor], example: Example) -> dict[str, Tensor]:
        """Diversity minus cross-modal similarity, and how often a frame finds its flow."""
        seen, moved = prediction
        all_seen, all_moved = gather_rows(seen), gather_rows(moved)
        other = (example.video[:, None] != gather_rows(example.video)[None]).float()
        similarity = (seen * moved).sum(1).mean()
        inside = (seen @ all_seen.T + moved @ all_moved.T) / 2
        diversity = (inside * other / other.sum(1, keepdim=True).clamp(min=1)).sum(1).mean()
        weight = self.config.positive
        with torch.no_grad():
            own = torch.arange(len(seen), device=seen.device) + first_row(seen)
            found = (seen @ all_moved.T).argmax(1) == own
        return {
            "loss": 2 * ((1 - weight) * diversity - weight * similarity),
            "accuracy": found.float().mean(),
            "similarity": similarity.detach(),
            "similarity_of_others": diversity.detach(),
        }

    def show(self, example: Example, prediction: tuple[Tensor, Tensor], count: int) -> list[Shown]:
        """A frame with its flow, and the flow of the batch that is most similar to it."""
        seen, moved = (features.detach() for features in prediction)
        best = (seen @ moved.T).argmax(1).tolist()
        count = min(count, len(seen))
        middle = example.flows.unflatten(1, (-1, 2))[:, self.config.frames // 2]
        drawn = draw_maps([middle[n] for n in [*range(count), *best[:count]]], "flow")
        return [
            Shown(inputs=[shown(example.images[n])], pseudo_label=drawn[n], prediction=drawn[count + n])
            for n in range(count)
        ]

    def _windows(self, areas: Tensor, rng: Generator) -> Tensor:
        """Boxes (N, 4) within areas (N, 4)."""
        boxes = random_boxes(
            len(areas), areas[:, 2], areas[:, 3], rng, scale=(self.config.min_scale, 1.0), ratio=(1, 1)
        )
        return torch.cat([boxes[:, :2] + areas[:, :2], boxes[:, 2:]], 1)


def _layer(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width, bias=False), nn.BatchNorm1d(width), nn.ReLU())

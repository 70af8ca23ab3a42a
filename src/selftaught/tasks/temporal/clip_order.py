"""Clip order prediction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas, shifted_squares
from selftaught.ops.frames import square_boxes
from selftaught.ops.sheet import numbered
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder, short_clips, shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """K clips of each video in the order of time (N K, 3, L, S, S), normalised, and R orders in which they are shown.

    `order` (N, R) int64 is the number of each order among all permutations of K.
    """

    clips: Tensor
    order: Tensor


class ClipOrder(PretextTask):
    """Predict in which order the clips of a video are shown (Xu, Xiao, Zhao, Shao, Xie, Zhuang, CVPR 2019).

    Link: https://openaccess.thecvf.com/content_CVPR_2019/html/Xu_Self-Supervised_Spatiotemporal_Learning_via_Video_Clip_Order_Prediction_CVPR_2019_paper.html

    Flow: video (N, T, 3, H, W) -> K clips of L frames, `interval` frames apart (N K, 3, L, S, S) -> shuffled -> 3-D
    encoder, shared by all clips (N K, D) -> the features of each pair of clips, in the order shown (N, P, 2 D) ->
    linear, shared by all pairs, ReLU (N, P, 512) -> dropout, linear on all of them (N, K!) -> cross entropy.

    Clips rather than frames, as the order of clips is less ambiguous: each shows in which direction things move, and
    where they were before and after. The network must know how motion develops.

    Shortcut: the frame at the end of a clip resembles the one at the beginning of the next, the camera drifts, bars
    grow, and a frame's quality says where in the compressed stream it was. Guard: `interval` frames are left out
    between clips; each clip has its own small shift and each frame its own blur and noise (`ops.clips.windows`); bars
    and the border are cut off; clips are mirrored alike. Accuracy is at chance on clips of one repeated frame, of
    noise, with borders that change, and compressed.

    Differences from the paper: clips have 8 frames, 4 apart (16 and 8 in the paper), as short videos have no more; the
    window is a random square of at least `least_side` (112 of 128 pixels in the paper); shift, blur, noise and mirror
    images are additions; a tuple may be shown in several orders, as its clips are encoded once; the learning rate falls
    by a cosine.
    """

    recipe = Recipe(optimizer="sgd", lr=0.03, weight_decay=5e-4)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        clips: Annotated[int, Range(least=2, most=5)] = 3
        """Clips of a video (K); there are K! orders."""
        frames: Annotated[int, Range(least=1)] = 8
        """Frames of a clip (L); 16 in the paper."""
        interval: Annotated[int, Range(least=0)] = 4
        """Frames left out between two clips; 8 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames, in frames of the video."""
        orders: Annotated[int, Range(least=1)] = 1
        """Orders R in which each tuple of clips is shown, at most K!."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the short side between black bars."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.05
        """Largest shift of a clip's window from the middle, as a share of its side."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a frame, which hide traces of a codec; 0, the paper's, for none."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Features of each pair of clips."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate before the last layer."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.orders > len(orders_of(self.clips)):
                raise ValueError(
                    f"--task.orders must be at most {len(orders_of(self.clips))}, the orders of {self.clips} clips, "
                    f"got {self.orders}; lower it"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.pairs = tuple(itertools.combinations(range(config.clips), 2))
        self.pair_head = nn.Sequential(nn.Linear(2 * encoder.num_features, config.hidden), nn.ReLU())
        self.order_head = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(len(self.pairs) * config.hidden, len(orders_of(config.clips)))
        )

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        frames = config.clips * config.frames + (config.clips - 1) * config.interval
        return {"video": Clip(frames=frames, stride=config.stride)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """One of the K clips."""
        return Clip(frames=config.frames, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / len(orders_of(self.config.clips))

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 -> `Example` of K clips each."""
        video, config = batch["video"], self.config
        n = len(video)
        squares = square_boxes(inner_areas(video, self.size), rng, least_side=config.least_side)
        boxes = shifted_squares(squares, config.clips, rng, jitter=config.jitter)
        first = torch.arange(config.clips, device=video.device) * (config.frames + config.interval)
        clips = short_clips(video, first.expand(n, -1), config.frames)
        each = boxes.repeat_interleave(config.frames, 1).flatten(0, 1)
        cut = degraded_crop(clips.flatten(0, 2)[:, None], each, self.size, rng, strength=config.degrade)
        drawn = torch.rand(n, len(orders_of(config.clips)), generator=rng, device=rng.device)
        rows = for_encoder(cut.view(n, config.clips, config.frames, 3, self.size, self.size))
        return Example(rows if rows.ndim == 5 else rows[:, :, None], drawn.argsort(1)[:, : config.orders])

    def forward(self, example: Example) -> Tensor:
        """Logits (N, R, K!)."""
        features = self.encoder(example.clips).unflatten(0, (-1, self.config.clips))
        places = orders_of(self.config.clips).to(features.device)[example.order]
        shuffled = features[torch.arange(len(features), device=features.device)[:, None, None], places]
        pairs = torch.stack([torch.cat([shuffled[:, :, i], shuffled[:, :, j]], 2) for i, j in self.pairs], 2)
        logits: Tensor = self.order_head(self.pair_head(pairs).flatten(2))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the orders."""
        return classification(prediction.flatten(0, 1), example.order.flatten())

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The clips as they are shown; the label and the prediction say their places in time, 1 to K."""
        chance, chosen = prediction.detach().float().softmax(2)[:, 0].max(1)
        k = self.config.clips
        return [
            Shown(
                inputs=[
                    numbered(shown(example.clips[k * n + place]), place + 1)
                    for place in self._places(example.order[n, 0])
                ],
                pseudo_label=self._words(example.order[n, 0]),
                prediction=f"{self._words(chosen[n])} ({float(chance[n]):.2f})",
            )
            for n in range(min(count, len(chosen)))
        ]

    def _places(self, order: Tensor) -> list[int]:
        places: list[int] = orders_of(self.config.clips)[int(order)].tolist()
        return places

    def _words(self, order: Tensor) -> str:
        """Such as "order 2 1 3"."""
        return "order " + " ".join(str(place + 1) for place in self._places(order))


@cache
def orders_of(clips: int) -> Tensor:
    """All permutations of the clips, (K!, K) int64."""
    return torch.tensor(list(itertools.permutations(range(clips))))

"""Frame order recognition."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.crop import crop_resize, mirrored_boxes
from selftaught.ops.frames import without_bars
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import (
    encoder_of,
    for_encoder,
    one_channel,
    shifted_clips,
    short_clips,
    shown_in_order,
)
from selftaught.tasks.parts.losses import classification

ORDERS = tuple(order for order in itertools.permutations(range(4)) if order[0] < order[3])
"""The 12 orders of four frames, where an order and its reverse are one."""
PAIRS = tuple(itertools.combinations(range(4), 2))
MOST = 40
"""Frames of the clip: all fours of them are weighed by their motion."""
GRID = 16
"""Cells along each side of a frame in which motion is compared."""
PATCH = 0.8
"""Side of the part that is cut from the window with most motion, as a share of the window's: the paper's 80 of 100."""


@dataclass
class Example:
    """Four frames of each clip in the order of time, normalised, and R orders in which they are shown.

    Frames are images (4 N, 3, S, S), or short clips (4 N, 3, L, S, S) that begin at them. `places` (N, R, 4) int64 says
    which frame is shown where, `order` (N, R) int64 which of `ORDERS` that is, perhaps reversed; `numbers` (N, 4) int64
    are those of the frames in the clip.
    """

    frames: Tensor
    places: Tensor
    order: Tensor
    numbers: Tensor


class FrameOrderRecognition(PretextTask):
    """Predict in which of 12 orders four frames of a video are shown (Lee, Huang, Singh, Yang, ICCV 2017).

    Link: https://arxiv.org/abs/1708.01246

    Flow: clip (N, T, 3, H, W) and its optical flow (N, T, 2, H, W) -> four frames, cropped where there is most motion
    (N, 4, 3, S, S) -> shuffled -> 2-D encoder, shared by all frames (4 N, D) -> linear (4 N, 1024) -> the features of
    each of the six pairs of frames, in the order shown (N, 6, 2048) -> linear, shared by all pairs (N, 6, 512) ->
    linear on all of them (N, 12) -> cross entropy with the order.

    The head compares two frames at a time, as sorting algorithms do; the network must know how poses follow each other.
    Many actions look the same backwards, so an order and its reverse are one class.

    Window and frames are chosen by the magnitude of the flow. The window of a clip is drawn with probability
    proportional to the motion in it, and then the four frames with probability proportional to the smallest motion
    between two consecutive ones, as frames without motion between them have no order.

    Shortcut: the order could be read off how colours drift, how the camera drifts, or where in the compressed stream a
    frame was. Guard: every frame is reduced to one of its channels, drawn at random and copied to all three (channel
    splitting); the window of each frame is shifted separately, by up to 5 of 80 pixels, with sub-pixel offsets; half of
    the tuples are reversed, and half flipped; bars and the edge of the frame, which may change in time, are cut off
    (`ops.frames.without_bars`). Accuracy is at chance on clips of one repeated frame, of noise, with borders that
    change, and compressed.

    Differences from the paper: the encoder's pooled features replace pool5 of the paper's network; the side of the
    window is `window` times the short side (100 of 240 pixels in the paper), and the crop is resized to the encoder's
    size; tuples are drawn with probability proportional to motion, as the paper gives no rule; short clips may stand
    for frames (`clip`), which play forwards and share no frame; the learning rate falls by a cosine instead of two
    steps.
    """

    recipe = Recipe(optimizer="sgd", lr=0.04, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=0, most=40)] = 0
        """Frames of the clip (T), from which the four are chosen; 0 for 16, or for more where short clips need them."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        gap: Annotated[int, Range(least=1)] = 2
        """Smallest distance from the end of one of the four frames to the next, in frames of the clip."""
        window: Annotated[float, Range(above=0, most=1)] = 0.6
        """Side of the window chosen by motion, as a fraction of the short side of the frame."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.0625
        """Largest shift of a single frame, as a fraction of the side of the crop."""
        orders: Annotated[int, Range(least=1, most=12)] = 1
        """Orders in which each tuple is shown; 1 in the paper, and more cost little, as frames are encoded once."""
        features: Annotated[int, Range(least=1)] = 1024
        """Width of the layer that follows the encoder."""
        pair: Annotated[int, Range(least=1)] = 512
        """Features per pair of frames."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate after both layers of the head."""
        clip: Annotated[int, Range(least=1)] = 1
        """Frames of the short clip that stands for each frame (L); above 1, the encoder is one of video."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.needed > MOST:
                raise ValueError(
                    f"--task.clip {self.clip} and --task.gap {self.gap} need a clip of {self.needed} frames, which is "
                    f"more than {MOST}; lower one of them"
                )
            if self.frames and self.frames < self.needed:
                raise ValueError(
                    f"--task.frames must be at least 3 gap + 4 clip - 3 = {self.needed} to hold four frames, got "
                    f"{self.frames}; raise it or lower --task.gap"
                )

        @property
        def length(self) -> int:
            """Frames of the clip."""
            return self.frames or max(16, self.needed)

        @property
        def needed(self) -> int:
            """Frames that hold the four and the gaps between them."""
            return 3 * self.apart + self.clip

        @property
        def apart(self) -> int:
            """Smallest distance between two of the four frames: `gap` where they are images."""
            return self.gap + self.clip - 1

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.frame_head = _layer(encoder.num_features, config.features, config.dropout)
        self.pair_head = _layer(2 * config.features, config.pair, config.dropout)
        self.order_head = nn.Linear(len(PAIRS) * config.pair, len(ORDERS))

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        return encoder_of(config.clip)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {
            "video": Clip(frames=config.length, stride=config.stride),
            "flow": Computed("optical_flow", like="video"),
        }

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / len(ORDERS)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 and its flow (N, T, 2, H, W) -> `Example` of four frames each."""
        video = batch["video"]
        areas = without_bars(video)
        motion = _motion(batch["flow"], areas, video.shape[-2:])
        windows = self.choose_windows(motion.mean(1), rng)
        # A frame that is the first of a short clip must not be among the last of the video.
        numbers = self.choose_frames(_within(motion, windows)[:, : video.shape[1] - self.config.clip], rng)
        boxes = self._boxes(windows, areas, rng)
        clips = short_clips(video, numbers, self.config.clip)
        cut = shifted_clips(clips, boxes, self.size, rng, jitter=self.config.jitter, areas=areas)
        return Example(for_encoder(one_channel(cut, rng)), *self.shuffle(len(video), rng), numbers)

    def choose_windows(self, motion: Tensor, rng: Generator) -> Tensor:
        """Row, column and side (N, 3) int64 of a window in cells, drawn in proportion to its motion (N, G, G)."""
        side = max(1, round(self.config.window * GRID))
        moved = F.avg_pool2d(motion[:, None], side, stride=1).flatten(1)
        # A clip in which nothing moves has all windows alike.
        chosen = torch.multinomial(moved + 1e-6, 1, generator=rng)[:, 0]
        across = GRID - side + 1
        return torch.stack([chosen // across, chosen % across, torch.full_like(chosen, side)], 1)

    def choose_frames(self, motion: Tensor, rng: Generator) -> Tensor:
        """Numbers (N, 4) of four frames in the order of time, from the motion after each but the last (N, T - 1).

        Drawn in proportion to the least motion between two that follow each other.
        """
        tuples = _tuples(motion.shape[1] + 1, self.config.apart).to(motion.device)
        moved = F.pad(motion.cumsum(1), (1, 0))[:, tuples].diff(dim=2)
        chosen = torch.multinomial(moved.amin(2).clamp(min=0) + 1e-6, 1, generator=rng)[:, 0]
        return tuples[chosen]

    def shuffle(self, count: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """`places` (N, R, 4) and `order` (N, R) of an `Example`: different orders of a tuple, each reversed or not."""
        orders = torch.tensor(ORDERS, device=rng.device)
        drawn = torch.rand(count, len(ORDERS), generator=rng, device=rng.device)
        order = drawn.argsort(1)[:, : self.config.orders]
        is_reversed = uniform(tuple(order.shape), 0, 1, rng) < 0.5
        places = orders[order]
        return torch.where(is_reversed[:, :, None], places.flip(2), places), order

    def _boxes(self, windows: Tensor, areas: Tensor, rng: Generator) -> Tensor:
        """Where the frames of each clip are cut: (N, 4) as `crop_resize` takes them, a random part of its window."""
        row, column, side = windows.unbind(1)
        first, start, height, width = areas.unbind(1)
        long = self.config.window * torch.minimum(height, width)
        # The last cell at which a window can begin is the end of the area.
        last = (GRID - side).clamp(min=1)
        cut = PATCH * long
        free = uniform((2, len(row)), 0, 1, rng) * (long - cut)
        top = first + row / last * (height - long) + free[0]
        left = start + column / last * (width - long) + free[1]
        return mirrored_boxes(top, left, cut, cut, uniform((len(row),), 0, 1, rng) < 0.5)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, R, 12)."""
        features = self.frame_head(self.encoder(example.frames)).view(len(example.order), 4, -1)
        rows = torch.arange(len(features), device=features.device)[:, None, None]
        shown = features[rows, example.places]
        pairs = torch.stack([torch.cat([shown[:, :, i], shown[:, :, j]], 2) for i, j in PAIRS], 2)
        compared = self.pair_head(pairs.flatten(0, 2)).view(*example.order.shape, -1)
        logits: Tensor = self.order_head(compared)
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the orders."""
        return classification(prediction.flatten(0, 1), example.order.flatten())

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The frames as they are shown, with their places in time, 1 to 4; an order and its reverse are one class."""
        chance, chosen = prediction.detach().float().softmax(2)[:, 0].max(1)
        shown = []
        for n in range(min(count, len(chosen))):
            numbers = ", ".join(map(str, example.numbers[n].tolist()))
            places = example.places[n, 0].cpu()
            reverse = ", reversed" if places[0] > places[3] else ""
            shown.append(
                Shown(
                    inputs=shown_in_order(example.frames[4 * n + places], (places + 1).tolist()),
                    pseudo_label=f"{_words(example.order[n, 0])}{reverse} (frames {numbers})",
                    prediction=f"{_words(chosen[n])} ({float(chance[n]):.2f})",
                )
            )
        return shown


def _layer(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)
    )


def _motion(flow: Tensor, areas: Tensor, size: torch.Size) -> Tensor:
    """Mean length of the flow after each frame but the last, in each cell of the areas (N, 4) of frames of that size.

    (N, T, 2, h, w) -> (N, T - 1, G, G).
    """
    length = flow[:, :-1].float().square().sum(2).sqrt()
    shrink = areas.new_tensor([flow.shape[-2] / size[0], flow.shape[-1] / size[1]] * 2)
    return crop_resize(length, areas * shrink, GRID)


def _within(motion: Tensor, windows: Tensor) -> Tensor:
    """Mean motion (N, T - 1) in the window of each clip."""
    cell = torch.arange(motion.shape[-1], device=motion.device)
    row, column, side = windows[:, :, None].unbind(1)
    rows, columns = ((cell >= first) & (cell < first + side) for first in (row, column))
    inside = (rows[:, :, None] & columns[:, None, :]).float() / side[:, :, None] ** 2
    return torch.einsum("nthw,nhw->nt", motion, inside)


@cache
def _tuples(frames: int, gap: int) -> Tensor:
    """All (P, 4) int64 increasing numbers below `frames` that are at least `gap` apart."""
    close = itertools.combinations(range(frames - 3 * (gap - 1)), 4)
    return torch.tensor(list(close)) + torch.arange(4) * (gap - 1)


def _words(order: Tensor) -> str:
    """Such as "1 3 2 4"."""
    return "order " + " ".join(str(place + 1) for place in ORDERS[int(order)])

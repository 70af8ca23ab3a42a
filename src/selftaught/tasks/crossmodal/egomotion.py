"""Egomotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Given, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.flow import correlation
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.camera_motion import AXES, along, draw_pairs, words_of
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages

REMEMBERED = 2048
"""Motions of the latest pairs, between whose quantiles the bins are."""
WIDTHS = (64, 256, 128, 500)
"""Channels of the map of a frame and of both convolutions on two of them, and width of the layer after these."""
SIDE, REACH = 16, 3
"""Places of the map of a frame, along each side, and how far away those are that it is compared with."""


@dataclass
class Example:
    """First frames, then second frames (2 N, 3, S, S), normalised; motions (N, A) and their bins (N, A) int64.

    Translations are in metres, rotations in radians.
    """

    images: Tensor
    motion: Tensor
    label: Tensor


class Egomotion(PretextTask):
    """Predict how the camera moved from one frame to another (Agrawal, Carreira, Malik, ICCV 2015).

    Link: https://arxiv.org/abs/1505.01596, code: https://github.com/pulkitag/learning-to-see-by-moving

    Flow: frames (N, T, 3, H, W) and poses of the camera (N, T, 4, 4) -> two frames, 1 to `gap` apart, in random order
    (2 N, 3, S, S) -> 2-D encoder, shared by both -> hypercolumn of its stages (2 N, C, 16, 16) -> one frame's, the
    other's, and the cosine of each place of the first with those of the second up to 3 places away (N, 2 C + 49, 16,
    16) -> two convolutions of stride 2 and two linear layers (N, A, B) -> cross entropy with the bin of the motion
    along each of A axes: sideways (x), forwards (z) and the turn to the side (yaw), or all six.

    How things move across the frame as the camera moves depends on where they are and what they are, so that the
    network must find the same things in both frames, and know how far away they usually are.

    Shortcut: the order of the frames and their distance in time say how far the camera went; a codec leaves traces of
    both; so does a border. Guard: the network sees pixels only, never numbers, times or names of frames; either frame
    may be the first, and the distance is random; each frame has its own blur and noise, and bars and the border are cut
    off (`ops.clips.windows`); poses serve as labels only. On clips of one repeated frame with random poses, accuracy
    stays that of the commonest bin.

    The bins of an axis hold equal shares of the latest motions in training, so a constant guess is right once in B
    times. On held-out data, where shares may differ, compare with `accuracy_still`, that of always guessing that the
    camera does not move.

    Differences from the paper: bins of equal shares instead of equal widths in standard deviations, as the motions of a
    car and of a hand have other scales; any encoder instead of one like AlexNet, whose last map has 13 x 13 places:
    that of a ResNet has 2 x 2 at 64 pixels, so its stages are read on a grid of 16 x 16; places are compared by
    cosines, as two maps side by side take many more steps; random order, mirror images (with the motion mirrored),
    random windows, blur and noise; AdamW with a cosine.
    """

    needs_moving_camera = True
    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=1e-2)
    queue: Tensor
    is_filled: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        axes: Literal["planar", "rotation", "all"] = "planar"
        """Axes: x, z and yaw, as of a car; the three rotations; or all three translations and rotations."""
        bins: Annotated[int, Range(least=2, most=200)] = 20
        """Bins of each axis (B)."""
        gap: Annotated[int, Range(least=1)] = 7
        """Largest distance of the two frames, in steps of `stride`."""
        stride: Annotated[int, Range(least=1)] = 1
        """Frames of the video in a step."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the short side between black bars."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise of each frame, which hide traces of a codec; 0 for none."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate before the last layer."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.axes = AXES[config.axes]
        channels, first, second, hidden = WIDTHS
        self.columns = Hypercolumn(encoder, size, out=channels, side=SIDE)
        compared = (2 * REACH + 1) ** 2
        self.norm = nn.BatchNorm2d(compared)
        self.head = nn.Sequential(
            nn.Conv2d(2 * channels + compared, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * (SIDE // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, len(self.axes) * config.bins),
        )
        self.register_buffer("queue", torch.zeros(REMEMBERED, len(self.axes)))
        self.register_buffer("is_filled", torch.zeros((), dtype=torch.bool))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.gap + 1, stride=config.stride), "pose": Given("pose")}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A single frame."""
        return Clip(frames=1)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.bins

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 and poses (N, T, 4, 4) -> `Example`."""
        config = self.config
        images, motion = draw_pairs(
            batch["video"], batch["pose"], self.size, rng, least_side=config.least_side, degrade=config.degrade
        )
        motion = along(motion, self.axes)
        if self.training:
            self.remember(motion)
        return Example(images, motion, self.bins_of(motion))

    @torch.no_grad()
    def remember(self, motion: Tensor) -> None:
        """Put the motions (N, A) of a batch, those of all processes, into the queue in place of the oldest ones."""
        latest = gather_rows(motion)[-REMEMBERED:]
        times = -(-REMEMBERED // len(latest))
        first = latest.repeat(times, 1)[:REMEMBERED]
        self.queue.copy_(torch.where(self.is_filled, torch.cat([self.queue[len(latest) :], latest]), first))
        self.is_filled.fill_(True)

    def bins_of(self, motion: Tensor) -> Tensor:
        """The bin of each motion: (N, A) -> (N, A) int64 in 0 ... B - 1."""
        shares = torch.arange(1, self.config.bins, device=motion.device) / self.config.bins
        edges = self.queue.quantile(shares, 0).T.contiguous()
        bins: Tensor = torch.searchsorted(edges, motion.T.contiguous(), right=True).T.contiguous()
        return bins

    def forward(self, example: Example) -> Tensor:
        """Logits (N, A, B)."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        both = self.columns(placed_stages(self.encoder, images)).chunk(2)
        first, second = (F.normalize(one, dim=1) for one in both)
        alike = self.norm(correlation(first, second, REACH))
        logits: Tensor = self.head(torch.cat([*both, alike], 1)).unflatten(1, (len(self.axes), self.config.bins))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy, a mean over axes; accuracy of each axis, their mean, and that of guessing no motion."""
        logits, label = prediction.float(), example.label
        still = self.bins_of(torch.zeros_like(example.motion[:1]))
        hits = (logits.detach().argmax(2) == label).float().mean(0)
        return {
            "loss": F.cross_entropy(logits.flatten(0, 1), label.flatten()),
            "accuracy": hits.mean(),
            "accuracy_still": (label == still).float().mean(),
            **{f"accuracy_{name}": hit for name, hit in zip(self.axes, hits, strict=True)},
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Both frames, the motion, and the middle of the bin that is predicted."""
        first, second = example.images.chunk(2)
        middles = (torch.arange(self.config.bins, device=self.queue.device) + 0.5) / self.config.bins
        values = self.queue.quantile(middles, 0)  # (B, A)
        found = values.gather(0, prediction.detach().argmax(2))
        return [
            Shown(
                inputs=[*denormalise(torch.stack([first[n], second[n]]))],
                pseudo_label=words_of(example.motion[n], self.axes),
                prediction=words_of(found[n], self.axes),
            )
            for n in range(min(count, len(found)))
        ]

"""Space-time cubic puzzles."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.frames import gather_frames, split_channels, square_boxes
from selftaught.ops.sheet import numbered
from selftaught.tasks.base import PretextTask, Recipe, Shown

CUBOIDS = 4
"""Cuboids of a puzzle: 2 x 2 in space at one time, or 4 in time at one place."""
ORDERS = tuple(itertools.permutations(range(CUBOIDS)))
"""The 24 orders of four cuboids."""
CROP = 80 / 112
"""Side of a cuboid as a share of its cell's, as in the paper."""
KINDS = ("space", "time")


@dataclass
class Example:
    """Cuboids of N clips and the puzzles of them.

    Attributes:
        cuboids: (4 N, 3, T, S, S) normalised, the four of each clip in order.
        kind: (N,) int64, 0 for cuboids along space, row by row, and 1 for cuboids along time.
        order: (N, Q) int64, in which of `ORDERS` the cuboids are shown.
        turns: (N,) int64, the number of the rotation that all cuboids of a clip were given.
    """

    cuboids: Tensor
    kind: Tensor
    order: Tensor
    turns: Tensor


class CubicPuzzle(PretextTask):
    """Predict in which of 24 orders four cuboids of a video are shown (Kim, Cho, Kweon, AAAI 2019).

    Link: https://arxiv.org/abs/1811.09795

    Flow: clip (N, T, 3, H, W) -> a square of it in 2 x 2 x 4 cells (rows, columns, times) -> a cuboid from each of four
    cells, along space at one time or along time at one place (4 N, 3, T', S, S) -> 3-D encoder, shared by all four
    towers (4 N, D) -> the four features in shuffled order (N Q, 4 D) -> fully connected -> the order, 24 logits for
    puzzles in space and 24 for those in time, and the rotation of all four -> two cross entropies.

    All 16! orders of the 16 cells cannot be classified, and puzzles along one axis at a time suffice: those in space
    require the parts of objects and scenes and their arrangement, those in time how poses and motion follow each other.
    Both train the same encoder. Rotation with classification: all cuboids of a puzzle are upright or upside down, and a
    second classifier predicts which.

    Shortcut: edges and motion that continue from one cuboid to the next, chromatic aberration, colours that are the
    same or drift over time, black bars, how a cuboid was resampled, and how well a codec kept it. Guard: a cuboid is
    cut at a random position within its cell (80 of 112 pixels, at least one frame between two cuboids), so cuboids
    rarely touch; each is reduced to one colour channel, drawn at random and copied to all three (channel replication);
    bars and the border of the frame are cut off; positions are not whole pixels; each cuboid has a blur and noise of
    its own (`ops.clips.windows`), as without them a small network recognises the frames of a codec. Puzzles in time of
    one repeated frame or whose only cue is the border or the codec stay at chance, and so do all puzzles of noise.

    Differences from the paper: cuboids have 4 of 6 frames of a cell instead of 16 of 32, which also short videos have;
    each clip gives one kind of puzzle, half of them along space; each is shown in `orders` orders, as cuboids are
    encoded once; half of the clips are mirrored; the encoder's pooled features replace those of the paper's network,
    with one hidden layer in the head; AdamW with a cosine instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 4
        """Frames of a cuboid (T'); 16 in the paper."""
        cell: Annotated[int, Range(least=2)] = 6
        """Frames of a cell, more than of a cuboid; the clip has four times as many. 32 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        axes: Literal["both", "space", "time"] = "both"
        """Along which axes the cuboids of a puzzle are taken."""
        orders: Annotated[int, Range(least=1, most=24)] = 4
        """Different orders Q in which the cuboids of a clip are shown; 1 in the paper."""
        rotations: Literal[1, 2, 4] = 2
        """Rotations of a puzzle: 2 for upright and upside down, 4 also for quarter turns, 1 for none."""
        rotation_weight: Annotated[float, Range(least=0)] = 1.0
        """Weight of the loss of the rotation."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the 2 x 2 cells, as a share of the short side between black bars."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a cuboid, which hide the traces of a codec; 0, the paper's, for
        none."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Width of the hidden layer of the head."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.cell <= self.frames:
                raise ValueError(
                    f"--task.cell must be above --task.frames, so that there are frames between cuboids, got "
                    f"{self.cell} and {self.frames}; raise it to {self.frames + 1} or more"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        width = CUBOIDS * encoder.num_features
        self.layer = nn.Sequential(
            nn.Linear(width, config.hidden, bias=False), nn.BatchNorm1d(config.hidden), nn.ReLU()
        )
        self.order_head = nn.Linear(config.hidden, len(KINDS) * len(ORDERS))
        self.rotation_head = nn.Linear(config.hidden, config.rotations) if config.rotations > 1 else None

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=CUBOIDS * config.cell, stride=config.stride)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A cuboid."""
        return Clip(frames=config.frames, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / len(ORDERS)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of four cuboids each."""
        video = batch["video"]
        n, frames = len(video), self.config.frames
        kind = self._kinds(n, rng)
        times, places = self._cells(kind, rng)
        boxes = self._boxes(inner_areas(video, self.size), places, rng)
        begin = times * self.config.cell + torch.randint(
            self.config.cell - frames, (n, CUBOIDS), generator=rng, device=rng.device
        )
        numbers = begin[:, :, None] + torch.arange(frames, device=rng.device)
        chosen = gather_frames(video, numbers.flatten(1)).unflatten(1, (CUBOIDS, frames)).flatten(0, 1)
        cut = degraded_crop(chosen, boxes.flatten(0, 1), self.size, rng, strength=self.config.degrade)
        # All frames of a cuboid keep the same channel, as if they stood one below the other.
        tall = cut.unflatten(0, (n, CUBOIDS)).transpose(2, 3).flatten(3, 4)
        frames_last = split_channels(tall, rng).unflatten(3, (frames, self.size)).transpose(2, 3)
        cuboids = normalise(frames_last.flatten(0, 2)).view(n * CUBOIDS, frames, 3, self.size, self.size)
        turns = torch.randint(self.config.rotations, (n,), generator=rng, device=rng.device)
        quarter = turns * (4 // self.config.rotations)
        turned = turn(cuboids.transpose(1, 2), quarter.repeat_interleave(CUBOIDS))
        order = uniform((n, len(ORDERS)), 0, 1, rng).argsort(1)[:, : self.config.orders]
        return Example(turned.contiguous(memory_format=torch.channels_last_3d), kind, order, turns)

    def _kinds(self, count: int, rng: Generator) -> Tensor:
        """Number of the kind of each puzzle (N,): every other one of each kind, whichever is first."""
        if self.config.axes != "both":
            return torch.full((count,), KINDS.index(self.config.axes), device=rng.device)
        first = torch.randint(2, (1,), generator=rng, device=rng.device)
        return (torch.arange(count, device=rng.device) + first) % 2

    def _cells(self, kind: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Times (N, 4) in 0 ... 3 and places (N, 4) in 0 ... 3, row by row, of the cells of each puzzle."""
        every = torch.arange(CUBOIDS, device=kind.device).expand(len(kind), -1)
        one = torch.randint(CUBOIDS, (len(kind), 1), generator=rng, device=rng.device).expand_as(every)
        is_time = kind[:, None] == KINDS.index("time")
        return torch.where(is_time, every, one), torch.where(is_time, one, every)

    def _boxes(self, areas: Tensor, places: Tensor, rng: Generator) -> Tensor:
        """Where cuboids are cut: areas (N, 4) of the frames, places (N, 4) -> boxes (N, 4, 4) as of `crop_resize`.

        Half of the squares are mirrored, with all their cells.
        """
        top, left, side, across = square_boxes(areas, rng, least_side=self.config.least_side)[:, :, None].unbind(1)
        cell, sign = side / 2, across.sign()
        room = uniform((2, *places.shape), 0, 1, rng) * cell * (1 - CROP)
        down, right = room + torch.stack([places // 2, places % 2]) * cell
        cut = (cell * CROP).expand_as(down)
        return torch.stack([top + down, left + sign * right, cut, sign * cut], 2)

    def forward(self, example: Example) -> tuple[Tensor, Tensor]:
        """Logits of the order (N, Q, 24) and of the rotation (N, Q, R)."""
        n, q = example.order.shape
        features = self.encoder(example.cuboids).view(n, CUBOIDS, -1)
        places = torch.tensor(ORDERS, device=features.device)[example.order]
        shown = features[torch.arange(n, device=features.device)[:, None, None], places]
        hidden = self.layer(shown.flatten(2).flatten(0, 1))
        logits = self.order_head(hidden).view(n, q, len(KINDS), len(ORDERS))
        own = logits[torch.arange(n, device=features.device), :, example.kind]
        rotation = hidden.new_zeros(n, q, 1) if self.rotation_head is None else self.rotation_head(hidden)
        return own, rotation.view(n, q, -1)

    def loss(self, prediction: tuple[Tensor, Tensor], example: Example) -> dict[str, Tensor]:
        """Cross entropy of the order and of the rotation; accuracy of the order, also of each kind of puzzle."""
        order, rotation = (logits.float() for logits in prediction)
        turns = example.turns[:, None].expand_as(example.order)
        order_loss = F.cross_entropy(order.flatten(0, 1), example.order.flatten())
        rotation_loss = F.cross_entropy(rotation.flatten(0, 1), turns.flatten())
        right = (order.detach().argmax(2) == example.order).float().mean(1)
        scalars = {
            "loss": order_loss + self.config.rotation_weight * rotation_loss,
            "accuracy": right.mean(),
            "rotation_accuracy": (rotation.detach().argmax(2) == turns).float().mean(),
        }
        if self.config.axes == "both":
            for number, name in enumerate(KINDS):
                own = (example.kind == number).float()
                scalars[f"accuracy_{name}"] = (right * own).sum() / own.sum().clamp(min=1)
        return scalars

    def show(self, example: Example, prediction: tuple[Tensor, Tensor], count: int) -> list[Shown]:
        """The cuboids as they are shown, and their true and predicted places."""
        n = len(example.kind)
        clips = denormalise(example.cuboids.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, CUBOIDS, -1))
        chance, chosen = prediction[0].detach().float().softmax(2)[:, 0].max(1)
        return [
            Shown(
                inputs=[numbered(clips[i, cell], cell + 1) for cell in ORDERS[int(example.order[i, 0])]],
                pseudo_label=f"{KINDS[int(example.kind[i])]}: {_words(example.order[i, 0])}",
                prediction=f"{_words(chosen[i])} ({float(chance[i]):.2f})",
            )
            for i in range(min(count, n))
        ]


def turn(clips: Tensor, quarters: Tensor) -> Tensor:
    """Rotate each clip (M, C, T, S, S) counter-clockwise by its own number of quarter turns (M,) int64 in 0 ... 3."""
    half, odd = (quarters // 2)[:, None, None, None, None] == 1, (quarters % 2)[:, None, None, None, None] == 1
    clips = torch.where(half, clips.flip(3, 4), clips)
    return torch.where(odd, clips.rot90(1, (3, 4)), clips)


def _words(order: Tensor) -> str:
    """Such as "cells 1 3 2 4"."""
    return "cells " + " ".join(str(cell + 1) for cell in ORDERS[int(order)])

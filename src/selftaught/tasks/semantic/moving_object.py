"""Moving objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize, random_boxes
from selftaught.ops.draw_maps import IGNORE
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import Decoder

CELL = 4
"""Pixels of an image, along each side, to one of the mask: the paper's 227 to 56."""


@dataclass
class Example:
    """Frames (N, 3, S, S) normalised, and where they move (N, M, M) uint8: 1, 0, or 255 where undecided.

    `counts` (N,) bool says which frames the loss is of.
    """

    images: Tensor
    moving: Tensor
    counts: Tensor


class MovingObject(PretextTask):
    """Predict from a single frame which parts of it move (Pathak, Girshick, Dollar, Darrell, Hariharan, CVPR 2017).

    Link: https://arxiv.org/abs/1612.06370

    Flow: frame of a video (N, 1, 3, H, W) and mask of its moving parts (N, 1, 1, H, W), computed once from the optical
    flow to the next frame after removing the motion of the camera -> random crop of both (N, 3, S, S), (N, M, M), M = S
    / 4 -> 2-D encoder (N, C, h, w) -> decoder (N, M, M) -> binary cross entropy per cell.

    Pixels that move together usually belong to one object. As a single frame does not show motion, the network must
    know which things can move, such as people and animals, and where they end. The mask is noisy, but its errors cannot
    be predicted from a single frame.

    A cell is used if at least the fraction `sure` of its pixels agree; their label is that of the cell. A frame is used
    if between `least` and `most` of the crop moves: if nothing moves, movable things stand still, and if almost
    everything moves, the motion of the camera was not estimated correctly. As most cells are still, moving cells have
    half of the weight in every frame. The metric is the mean of the accuracies on moving and on still cells; chance is
    0.5.

    Shortcut: moving things are usually filmed in the middle of the frame, so the position gives them away. Guard: crops
    of at least `min_scale` of the area are taken anywhere and flipped at random. This flattens the mean mask but does
    not make it uniform: compare the metric with the accuracy of the mean mask.

    Differences from the paper, in this simplest form: the mask comes from two frames (the paper's uNLC gathers saliency
    over a whole video and refines it by appearance); the paper leaves out frames and pixels by the confidence of its
    segments, this task by the fractions above; the decoder has up-convolutions instead of fully connected layers;
    classes are weighted.
    """

    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        sure: Annotated[float, Range(above=0.5, most=1)] = 0.7
        """Fraction of a cell's pixels that must agree for the cell to be used."""
        least: Annotated[float, Range(above=0, most=1)] = 0.01
        """Smallest moving fraction of the crop for the frame to be used."""
        most: Annotated[float, Range(above=0, most=1)] = 0.5
        """Largest moving fraction of the crop for the frame to be used."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.2
        """Smallest share of the frame's area that a crop covers."""
        width: Annotated[int, Range(least=1)] = 128
        """Channels of the decoder at its lowest resolution; they halve with every doubling, down to 32."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.least >= self.most:
                raise ValueError(
                    f"--task.least must be below --task.most, got {self.least} and {self.most}; lower the first"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(1, size // CELL)
        channels, start = map_shape(encoder, size)
        self.decoder = Decoder(channels, start, out=1, side=self.side, width=config.width)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"frame": Clip(frames=1), "mask": Computed("moving_mask", like="frame")}

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 1, 3, H, W) and mask (N, 1, 1, H, W), both uint8 -> `Example`."""
        frames, masks = batch["frame"][:, 0], batch["mask"][:, 0]
        boxes = random_boxes(len(frames), frames.shape[-2], frames.shape[-1], rng, scale=(self.config.min_scale, 1.0))
        images = normalise(crop_resize(frames, boxes, self.size))
        share = crop_resize(masks.float(), boxes, self.side)[:, 0]
        moving = torch.full(share.shape, IGNORE, dtype=torch.uint8, device=share.device)
        moving[share >= self.config.sure] = 1
        moving[share <= 1 - self.config.sure] = 0
        whole = share.mean((1, 2))
        both = (moving == 1).flatten(1).any(1) & (moving == 0).flatten(1).any(1)
        return Example(images, moving, both & (whole >= self.config.least) & (whole <= self.config.most))

    def forward(self, example: Example) -> Tensor:
        """Logits (N, M, M)."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.decoder(last_map(self.encoder, images))[:, 0]
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Logistic loss, a mean over all N frames, to which those that do not count add 0; accuracies over the rest."""
        logits, moving = prediction.float(), example.moving == 1
        error = F.binary_cross_entropy_with_logits(logits, moving.float(), reduction="none")
        hit = ((logits.detach() > 0) == moving).float()
        losses, accuracies = [], []
        for cells in (moving, example.moving == 0):
            share = cells / cells.sum((1, 2), keepdim=True).clamp(min=1)
            losses.append((error * share).sum((1, 2)))
            accuracies.append((hit * share).sum((1, 2))[example.counts])
        found, left = (one.mean() if len(one) else logits.new_tensor(0.5) for one in accuracies)
        return {
            "loss": ((losses[0] + losses[1]) / 2 * example.counts).mean(),
            "accuracy": (found + left) / 2,
            "accuracy_moving": found,
            "accuracy_still": left,
            "frames_used": example.counts.float().mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A frame, what moves in it (white where undecided), and the probability that it does."""
        chance = prediction.detach().float().sigmoid()
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=Map(values=example.moving[n], kind="mask"),
                prediction=Map(values=chance[n], kind="mask"),
            )
            for n in range(min(count, len(chance)))
        ]

"""Moving objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Given, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize, random_boxes
from selftaught.ops.draw_maps import IGNORE
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import Decoder

PROGRAMS = {"unlc": "unlc", "videopca": "video_pca", "flow": "moving_mask"}
"""Setting -> name of the program."""
CELL = 4
"""Pixels of an image, along each side, to one of the mask: the paper's 227 to 56."""


@dataclass
class Example:
    """Frames (N, 3, S, S) normalised, and where they move (N, M, M) uint8: 1, 0, or 255 where undecided.

    `counts` (N,) bool says which frames the loss is of. `truth` is as `moving`, of annotated masks, where there are.
    """

    images: Tensor
    moving: Tensor
    counts: Tensor
    truth: Tensor | None = None


class MovingObject(PretextTask):
    """Predict from a single frame which parts of it move (Pathak, Girshick, Dollar, Darrell, Hariharan, CVPR 2017).

    Link: https://arxiv.org/abs/1612.06370

    Flow: frame of a video (N, 1, 3, H, W) and mask of its moving parts (N, 1, 1, H, W), computed once by a program ->
    random crop of both (N, 3, S, S), (N, M, M), M = S / 4 -> 2-D encoder (N, C, h, w) -> decoder (N, M, M) -> binary
    cross entropy of the cells whose label is sure.

    Pixels that move together usually belong to one object. As a single frame does not show motion, the network must
    know which things can move, such as people and animals, and where they end. The mask is noisy, but its errors cannot
    be predicted from a single frame.

    Programs (`program`), each of which marks what moves, what does not, and what it leaves open:

    - unlc: the paper's, Non-Local Consensus voting (Faktor & Irani 2014) without anything trained. Superpixels that the
      camera's motion does not explain vote for themselves, then those of all frames nearby agree with their like
    - videopca: VideoPCA (Croitoru, Bogolin, Leordeanu 2017): what the first principal components of a video leave of
      its frames, refined by the colours in and around it. For cameras that stand still
    - flow: from a frame and the next one alone, what moves otherwise than the homography of the background

    A cell is used if at least the fraction `sure` of its pixels are moving, or still; their label is that of the cell.
    A frame is used if between `least` and `most` of the crop moves: if nothing moves, movable things stand still, and
    if almost everything moves, the motion of the camera was not estimated correctly. As most cells are still, moving
    cells have half of the weight in every frame, unless `balanced` is off.

    The metric is the mean of the accuracies on moving and on still cells; chance is 0.5. `iou` is the intersection over
    union of what is predicted to move with what does, over the cells with a label, and `iou_all_moving` that of calling
    every cell moving. With `truth` the same is logged for annotated masks, which are never learned from.

    Shortcut: moving things are usually filmed in the middle of the frame, so the position gives them away. Guard: crops
    of at least `min_scale` of the area are taken anywhere and flipped at random. This flattens the mean mask but does
    not make it uniform: compare the metric with the accuracy of the mean mask. Bars along the edges are cut when videos
    are packed, and no mask is computed across a cut.

    Differences from the paper: the decoder has up-convolutions instead of fully connected layers; mask and image keep
    the paper's ratio, 56 to 227 pixels, at any size; crops are random in place, size and ratio, where the paper jitters
    little; classes are weighted (see `balanced`); frames are chosen by the fractions above; one frame is drawn of each
    video per epoch. uNLC starts from the motion that a homography leaves
    instead of from what deviates from a dominant direction, and has thresholds for small frames.
    """

    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        program: Literal["unlc", "videopca", "flow"] = "unlc"
        """What makes the masks; flow is ten times as fast as unlc, whose masks are better."""
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
        balanced: bool = True
        """Give moving and still cells of a frame half of its weight each; off, all cells count the same."""
        truth: Literal["", "moving", "mask"] = ""
        """Annotated masks of the data by which the prediction is scored as well; "" is for none."""

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
        frame, mask = Clip(frames=1), Computed(PROGRAMS[config.program], like="frame")
        return (
            {"frame": frame, "mask": mask, "truth": Given(config.truth, like="frame")}
            if config.truth
            else {"frame": frame, "mask": mask}
        )

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 1, 3, H, W) and mask (N, 1, 1, H, W), both uint8 -> `Example`."""
        frames, masks = batch["frame"][:, 0], batch["mask"][:, 0]
        boxes = random_boxes(len(frames), frames.shape[-2], frames.shape[-1], rng, scale=(self.config.min_scale, 1.0))
        images = normalise(crop_resize(frames, boxes, self.size))
        moving, whole = self._cells(masks, boxes)
        both = (moving == 1).flatten(1).any(1) & (moving == 0).flatten(1).any(1)
        counts = both & (whole >= self.config.least) & (whole <= self.config.most)
        truth = self._cells(batch["truth"][:, 0, None], boxes)[0] if self.config.truth else None
        return Example(images, moving, counts, truth)

    def _cells(self, masks: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (N, M, M) uint8: 1, 0, or 255 where they are not sure; and the share (N,) of the box that moves.

        Of masks (N, 1, H, W), 0 still and 255 undecided.
        """
        moves = (masks > 0) & (masks < IGNORE)
        shares = crop_resize(torch.cat([moves, masks == 0], 1).float(), boxes, self.side)
        cells = torch.full_like(shares[:, 0], IGNORE, dtype=torch.uint8)
        for label, share in ((1, shares[:, 0]), (0, shares[:, 1])):
            cells[share >= self.config.sure] = label
        return cells, shares[:, 0].mean((1, 2))

    def forward(self, example: Example) -> Tensor:
        """Logits (N, M, M)."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.decoder(last_map(self.encoder, images))[:, 0]
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Logistic loss, a mean over all N frames, to which those that do not count add 0; metrics over the rest."""
        logits, moving = prediction.float(), example.moving == 1
        error = F.binary_cross_entropy_with_logits(logits, moving.float(), reduction="none")
        found = logits.detach() > 0
        hit = (found == moving).float()
        losses, accuracies = [], []
        for cells in (moving, example.moving == 0):
            share = cells / cells.sum((1, 2), keepdim=True).clamp(min=1)
            losses.append((error * share).sum((1, 2)) / 2)
            accuracies.append((hit * share).sum((1, 2))[example.counts])
        on_moving, on_still = (one.mean() if len(one) else logits.new_tensor(0.5) for one in accuracies)
        known = example.moving != IGNORE
        plain = (error * known).sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
        scores = {"iou": found, "iou_all_moving": torch.ones_like(found)}
        return {
            "loss": ((losses[0] + losses[1] if self.config.balanced else plain) * example.counts).mean(),
            "accuracy": (on_moving + on_still) / 2,
            "accuracy_moving": on_moving,
            "accuracy_still": on_still,
            "frames_used": example.counts.float().mean(),
            **{name: mean_overlap(one, example.moving, example.counts) for name, one in scores.items()},
            **(
                {f"truth_{name}": mean_overlap(one, example.truth) for name, one in scores.items()}
                if example.truth is not None
                else {}
            ),
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


def mean_overlap(found: Tensor, cells: Tensor, counts: Tensor | None = None) -> Tensor:
    """Intersection over union with what moves, over cells with a label, a mean over frames in which something does.

    Args:
        found: (N, M, M) bool.
        cells: (N, M, M) of 0, 1 and 255.
        counts: (N,) bool, which frames are taken; all that have a moving cell where it is None.
    """
    moves = cells == 1
    counts = moves.flatten(1).any(1) if counts is None else counts
    both = (found & moves).flatten(1).sum(1)
    either = ((found | moves) & (cells != IGNORE)).flatten(1).sum(1)
    overlaps = (both / either.clamp(min=1))[counts]
    return overlaps.mean() if len(overlaps) else found.new_zeros((), dtype=torch.float32)

"""Counting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise, to_grey
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.downsample import FILTERS, halve_pictures
from selftaught.ops.tiles import fit_tile, mosaic
from selftaught.tasks.base import PretextTask, Recipe, Shown


@dataclass
class Example:
    """Images and their quarters, normalised.

    Attributes:
        images: (5 N, 3, P, P): N images down-sampled, then their upper left, upper right, lower left and lower right
            tiles, N of each.
        kind: (N,) int64, number of the filter that each image was down-sampled by.
    """

    images: Tensor
    kind: Tensor


class Counting(PretextTask):
    """Learn counts that add up: those of four tiles to that of the whole image (Noroozi, Pirsiavash, Favaro, ICCV
    2017).

    Link: https://arxiv.org/abs/1708.06734

    Flow: image (N, 3, H, W) -> random square x (N, 3, 2 P, 2 P) -> D x, the square at half its side, and T_1 ... T_4 x,
    its quarters (5 N, 3, P, P) -> encoder (5 N, D) -> two layers with ReLU -> counts phi (5 N, K), each at least 0 ->
    the paper's loss, with y another image of the batch:
    |phi(D x) - sum_j phi(T_j x)|^2 + max(0, M - |phi(D y) - sum_j phi(T_j x)|^2).

    The number of things in an image does not depend on its resolution, and equals the sum over its parts. Features that
    satisfy both, and differ between images, count things. `accuracy` is how often the sum over the tiles is closer to
    the counts of its own image than to those of another; guessing, or counts that are all 0, give 0.5.

    Shortcut: counts of 0 satisfy the first term; the filter of a down-sampler marks which input is the whole; and
    chromatic aberration separates tiles from the whole. Guard: the contrastive term, and the norms of both counts are
    logged (`norm_whole`, `norm_tiles`), so that a collapse to 0 is visible; each image is down-sampled with one of four
    filters at random; most images are grey. Tiles and the whole image have the same size.

    Differences from the paper: the side of the inputs is half of `--size` (114 of 227 pixels in the paper); two layers
    after the pooled features instead of three, with batch normalisation between them: while the counts of all images
    are nearly the same, the two terms of the loss cancel, and training would be stuck; y is the next image of the
    global batch; the whole image and its tiles pass through the encoder in one batch, so they share the statistics of
    batch normalisation; inputs are random squares of the image, half of them flipped.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        tile: Annotated[int, Range(least=0)] = 0
        """Side P of a tile and of the down-sampled image; 0 uses half of --size, or the encoder's minimum."""
        counts: Annotated[int, Range(least=1)] = 1000
        """Number of counts K."""
        hidden: Annotated[int, Range(least=1)] = 1024
        """Width of the layer before the counts."""
        margin: Annotated[float, Range(above=0)] = 10.0
        """Margin M: squared distance by which the counts of different images should differ."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.67
        """Share of the images that are shown grey."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the image's area that the square covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.side = fit_tile(
            encoder, asked=config.tile, default=size // 2, size=size, task="counting", flag="--task.tile"
        )
        least = math.ceil(self.side / 2)
        if size < least:
            raise ValueError(
                f"task 'counting' needs images of at least {least} x {least} pixels for tiles of {self.side} x "
                f"{self.side}, got {size} x {size}; lower --task.tile or raise --size"
            )
        self.encoder = encoder
        self.config = config
        self.size = size
        last = nn.Linear(config.hidden, config.counts)
        # Counts of length 1 at first: four tiles then differ from a whole by about the margin. From much longer ones
        # the first thing to be learned would be to count nothing.
        last.weight.data.mul_(math.sqrt(12 / config.counts))
        self.head = nn.Sequential(
            nn.Linear(encoder.num_features, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(inplace=True),
            last,
            nn.ReLU(),
        )

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of N wholes and 4 N tiles."""
        n, side, scale = len(batch), self.side, (self.config.min_scale, 1.0)
        squares = random_resized_crop(batch["image"], 2 * side, rng, scale=scale, ratio=(1.0, 1.0))
        grey = uniform((n, 1, 1, 1), 0, 1, rng) < self.config.grey
        squares = torch.where(grey, to_grey(squares), squares)
        kind = torch.randint(len(FILTERS), (n,), generator=rng, device=squares.device)
        images = torch.empty(5 * n, 3, side, side, device=squares.device, memory_format=torch.channels_last)
        # Bicubic and Lanczos overshoot at edges, which no image does.
        normalise(halve_pictures(squares, kind).clamp_(0, 1), out=images[:n])
        normalise(quarters(squares), out=images[n:])
        return Example(images, kind)

    def forward(self, example: Example) -> Tensor:
        """Counts (5, N, K), at least 0: of the wholes, then of their four tiles."""
        counts: Tensor = self.head(self.encoder(example.images))
        return counts.view(5, -1, self.config.counts)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """The paper's contrastive loss, a mean over images; accuracy; lengths of the counts."""
        whole, tiles = prediction[0].float(), prediction[1:].float().sum(0)
        n = len(whole)
        wholes = gather_rows(whole)
        own = torch.arange(n, device=whole.device) + first_row(whole)
        other = wholes[(own + 1) % len(wholes)]
        same = (whole - tiles).square().sum(1)
        apart = (self.config.margin - (other - tiles).square().sum(1)).clamp(min=0)
        return {
            "loss": (same + apart).mean(),
            "accuracy": nearer_to_own(tiles.detach(), wholes.detach(), own),
            "loss_same": same.detach().mean(),
            "loss_other": apart.detach().mean(),
            "norm_whole": whole.detach().norm(dim=1).mean(),
            "norm_tiles": tiles.detach().norm(dim=1).mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The whole and its tiles; total counts of the tiles, of the whole and of another image."""
        pictures = denormalise(example.images).unflatten(0, (5, -1))
        counts = prediction.detach().float()
        whole, tiles = counts[0], counts[1:].sum(0)
        shown = []
        for i in range(min(count, len(whole))):
            mine, other = whole[i], whole[(i + 1) % len(whole)]
            away = [float((counted - tiles[i]).norm()) for counted in (mine, other)]
            shown.append(
                Shown(
                    inputs=[pictures[0, i], mosaic(pictures[1:, i])],
                    pseudo_label=f"the tiles' counts add up to {float(tiles[i].sum()):.1f}",
                    prediction=f"{float(mine.sum()):.1f} in the whole, {away[0]:.2f} away; "
                    f"{float(other.sum()):.1f} in another image, {away[1]:.2f} away",
                )
            )
        return shown


def quarters(squares: Tensor) -> Tensor:
    """The four quarters of images, row by row: (N, C, 2 P, 2 P) -> (4 N, C, P, P), N upper left ones first."""
    n, c, height, width = squares.shape
    parts = squares.view(n, c, 2, height // 2, 2, width // 2)
    return parts.permute(2, 4, 0, 1, 3, 5).reshape(4 * n, c, height // 2, width // 2)


def nearer_to_own(tiles: Tensor, wholes: Tensor, own: Tensor) -> Tensor:
    """How often a sum of tiles (N, K) is nearer to its own whole, row own[n] of (M, K), than to others; ties 0.5."""
    distance = torch.cdist(tiles, wholes, compute_mode="donot_use_mm_for_euclid_dist")
    mine = distance.gather(1, own[:, None])
    wins = (mine < distance).float() + 0.5 * (mine == distance).float()
    others = max(1, distance.numel() - len(tiles))
    return (wins.sum() - 0.5 * len(tiles)) / others

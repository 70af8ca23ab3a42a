"""Context prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import affine_colour
from selftaught.ops.tiles import (
    CELLS,
    Grid,
    as_pictures,
    check_grid,
    default_tile,
    fit_tile,
    pixelate,
    random_tiles,
    standardise_tiles,
)
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification

NAMES = ("above left", "above", "above right", "left", "right", "below left", "below", "below right")
OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Cells (down, right) from the first patch to the second, for each of the 8 positions."""
FEWEST = 10
"""A patch is down-sampled to no fewer than 10 x 10 pixels."""
NOISE = 0.01
"""Standard deviation of what fills a dropped channel, as a share of the kept channel's."""
GAIN = 3.0
"""Factor of the kept channel: as in dropout, the first layer then has the sum that three channels would have."""


@dataclass
class Example:
    """Patches, standardised, and which of them make a pair.

    Attributes:
        patches: (9 N, 3, P, P), the 3 x 3 neighbourhood of each of N images row by row.
        first, second: (N, K) int64, rows of `patches`.
        position: (N, K) int64 in 0 ... 7, position of the second patch relative to the first.
    """

    patches: Tensor
    first: Tensor
    second: Tensor
    position: Tensor


class ContextPrediction(PretextTask):
    """Predict at which of 8 positions around a patch a second patch of the image lies (Doersch, Gupta, Efros, ICCV
    2015).

    Link: https://arxiv.org/abs/1505.05192

    Flow: image (N, 3, H, W) -> random square, resized -> 3 x 3 patches with gaps (9 N, 3, P, P) -> encoder, shared by
    all patches (9 N, D) -> fc6 (9 N, E) -> K pairs of neighbours of each image, joined (N K, 2 E) -> fc7 and fc8
    (N K, F) -> 8 logits -> cross entropy.

    To know that an ear belongs above a face, the network must recognise objects and their parts. As in the paper, each
    patch is encoded once and is part of several pairs: all 8 positions occur equally often, from every cell that has
    such a neighbour.

    Shortcut: lines and textures that continue across a border; brightness and contrast; resolution; and chromatic
    aberration, by which lenses shift colours outwards from the middle of the image, so that a single patch gives away
    its position. Guard: a gap of half a patch, and a random jitter of each patch; each is standardised; a third of them
    are down- and up-sampled by a random factor; one random colour channel of each is kept and the others are replaced
    by faint noise, or (`--task.colour project`) the axis from green to magenta is removed. Each patch is resampled
    separately from a random sub-pixel position, so that no resampling pattern gives away the position (`ops.tiles`).

    Differences from the paper: patches are a quarter of the stored image's side (96 of about 550 pixels there), 16
    pixels at size 32, and the kept channel is multiplied by three, as in dropout, so that the first layer also works
    for images with all channels; each neighbourhood is a random square of the image and half of them are mirrored;
    every channel is standardised before colour is dropped; narrower hidden layers; AdamW with a cosine instead of SGD.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        patch: Annotated[int, Range(least=0)] = 0
        """Side P of a patch in pixels; 0 uses a quarter of the stored image's side, or the encoder's minimum."""
        gap: Annotated[float, Range(above=0, most=2)] = 0.5
        """Gap between neighbouring patches, as a fraction of P."""
        jitter: Annotated[float, Range(least=0)] = 0.073
        """Largest shift of a patch in each direction, as a fraction of P; 7 of 96 pixels in the paper."""
        pairs: Annotated[int, Range(least=1, most=40)] = 8
        """Number of pairs K per image and step."""
        colour: Literal["drop", "project", "keep"] = "drop"
        """Guard against chromatic aberration: keep one random channel (drop), remove the green-magenta axis (project),
        or neither (keep)."""
        resample: Annotated[float, Range(least=0, most=1)] = 0.33
        """Share of the patches that are down- and up-sampled."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.35
        """Smallest share of the image's area that the neighbourhood covers."""
        embedding: Annotated[int, Range(least=1)] = 512
        """Width E of fc6, for each patch; 4096 in the paper."""
        hidden: Annotated[int, Range(least=1)] = 1024
        """Width F of fc7 and fc8, for each pair; 4096 in the paper."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.jitter < self.gap / 2:
                raise ValueError(f"--task.jitter must be less than half of --task.gap {self.gap}, got {self.jitter}")

    offsets: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        name, flag = "context_prediction", "--task.patch"
        side = fit_tile(encoder, asked=config.patch, default=default_tile(size), size=size, task=name, flag=flag)
        gap, jitter = max(1, round(config.gap * side)), round(config.jitter * side)
        self.grid = Grid(tile=side, pitch=side + gap, play=2 * jitter)
        if config.patch:
            check_grid(self.grid, size=size, task=name, flag=flag)
        self.encoder = encoder
        self.config = config
        self.size = size
        self.embedding = _layer(encoder.num_features, config.embedding)
        self.head = nn.Sequential(
            _layer(2 * config.embedding, config.hidden),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, len(OFFSETS)),
        )
        self.gain = GAIN if config.colour == "drop" else 1.0
        self.register_buffer("offsets", torch.tensor(OFFSETS), persistent=False)

    def chance(self, batch_size: int) -> float:
        return 1 / len(OFFSETS)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of 9 N patches and N K pairs."""
        patches = random_tiles(batch["image"], self.grid, rng, min_scale=self.config.min_scale).flatten(0, 1)
        if self.config.colour == "project":
            patches = project_colour(patches)
        if self.config.resample > 0:
            patches = pixelate(patches, self._sides(len(patches), rng))
        patches = standardise_tiles(patches)
        if self.config.colour == "drop":
            patches = drop_colour(patches, rng)
        first, second, position = self._pairs(len(batch), rng)
        return Example(patches.contiguous(memory_format=torch.channels_last), first, second, position)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K, 8)."""
        embeddings = self.embedding(self.encoder(example.patches))
        joined = torch.cat([embeddings[example.first], embeddings[example.second]], 2)
        logits: Tensor = self.head(joined.flatten(0, 1))
        return logits.view(*example.position.shape, -1)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the 8 positions."""
        return classification(prediction.flatten(0, 1), example.position.flatten())

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Pairs of different images at different positions."""
        n, k = example.position.shape
        chosen = prediction.detach().float().softmax(2)
        shown = []
        for i in range(min(count, n * k)):
            row, column = i % n, (i // n + i) % k
            pair = example.patches[[int(example.first[row, column]), int(example.second[row, column])]] / self.gain
            odds = chosen[row, column]
            shown.append(
                Shown(
                    inputs=list(as_pictures(pair)),
                    pseudo_label=NAMES[int(example.position[row, column])],
                    prediction=f"{NAMES[int(odds.argmax())]} ({float(odds.max()):.2f})",
                )
            )
        return shown

    def _sides(self, count: int, rng: Generator) -> Tensor:
        """To how many pixels a side each patch is down-sampled; the number of pixels is uniform, as in the paper."""
        full = self.grid.tile
        fewest = min(FEWEST, full)
        sides = uniform((count,), fewest**2, full**2, rng).sqrt().long()
        chosen = uniform((count,), 0, 1, rng) < self.config.resample
        return torch.where(chosen, sides, torch.full_like(sides, full))

    def _pairs(self, n: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """`first`, `second` and `position` of an `Example`."""
        k = self.config.pairs
        turn = torch.randint(len(OFFSETS), (n, 1), generator=rng, device=rng.device)
        position = (turn + torch.arange(k, device=rng.device)) % len(OFFSETS)
        offset = self.offsets[position]
        # The first patch is any cell from which the second is still one of the nine.
        start = (uniform((n, k, 2), 0, 1, rng) * (CELLS - offset.abs())).long() - offset.clamp(max=0)
        picture = CELLS * CELLS * torch.arange(n, device=rng.device)[:, None]
        first = picture + CELLS * start[..., 0] + start[..., 1]
        return first, first + CELLS * offset[..., 0] + offset[..., 1], position


def drop_colour(patches: Tensor, rng: Generator) -> Tensor:
    """One random channel of each standardised patch (M, 3, P, P), GAIN times as strong; faint noise in the others."""
    channel = torch.randint(3, (len(patches),), generator=rng, device=rng.device)
    kept = F.one_hot(channel, 3).bool()[:, :, None, None]
    noise = torch.randn(patches.shape, generator=rng, device=rng.device)
    return torch.where(kept, patches, noise.mul_(NOISE)) * GAIN


def project_colour(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) without their part along a = (-1, 2, -1), green - magenta: rgb (I - a a^T / a^T a)."""
    axis = images.new_tensor([-1.0, 2.0, -1.0])
    matrix = torch.eye(3, device=images.device) - torch.outer(axis, axis) / axis.square().sum()
    return affine_colour(images, matrix.expand(len(images), 3, 3), images.new_zeros(len(images), 3))


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, batch normalisation without scale and shift, ReLU, as in the paper, against units that are always 0."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, affine=False), nn.ReLU())

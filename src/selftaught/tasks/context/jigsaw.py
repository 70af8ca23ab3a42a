"""Jigsaw puzzles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import to_grey
from selftaught.ops.tiles import (
    CELLS,
    Grid,
    as_pictures,
    check_grid,
    cut_tiles,
    default_tile,
    fit_tile,
    mosaic,
    random_tiles,
    standardise_tiles,
)
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification
from selftaught.tasks.parts.permutations import nearest_permutation, permutation_set, sinkhorn

TILES = CELLS * CELLS


@dataclass
class Example:
    """Tiles, standardised, and the puzzles of them.

    Attributes:
        tiles: (9 N, 3, P, P), the grid of each of N images row by row.
        places: (N, Q, 9) int64, row of `tiles` at each place of a puzzle.
        order: (N, Q, 9) int64, the cell of its image that the tile at each place was cut from.
        permutation: (N, Q) int64, the number of the permutation by which the tiles were shuffled; None where the target
            is the matrix.
    """

    tiles: Tensor
    places: Tensor
    order: Tensor
    permutation: Tensor | None


class Jigsaw(PretextTask):
    """Predict by which of K permutations the 9 tiles of an image were shuffled (Noroozi, Favaro, ECCV 2016).

    Link: https://arxiv.org/abs/1603.09246

    Flow: image (N, 3, H, W) -> random square, resized -> 3 x 3 tiles (9 N, 3, P, P) -> encoder, shared by all tiles
    (9 N, D) -> fc6 (9 N, E) -> Q puzzles of each image, embeddings in shuffled order (N Q, 9 E) -> fc7 (N Q, F) ->
    K logits -> cross entropy.

    To order the tiles, the network must know the parts of objects and their arrangement. A tile is encoded without its
    neighbours (the paper's context-free network), so one pass serves several puzzles of the same tiles. The K
    permutations are far from each other (`parts.permutations`), as similar ones would be ambiguous.

    `--task.occluded` gives the harder puzzles of Jigsaw++ (Noroozi et al., CVPR 2018): up to this number of tiles per
    puzzle are replaced by tiles of another image; the others still determine the permutation.

    `--task.target matrix` is DeepPermNet (Santa Cruz, Fernando, Cherian, Gould, CVPR 2017,
    https://arxiv.org/abs/1704.02729): the tiles are shuffled by any of the 9! permutations, and 81 outputs of the head,
    normalised over rows and columns in turns (Sinkhorn), say which cell each tile came from. The loss is the sum over
    the tiles of -log of the entry at the true cell, and the accuracy is that of single tiles (chance 1/9).

    Shortcut: mean and contrast of neighbouring tiles, edges that continue from tile to tile, the absolute position of a
    tile, and chromatic aberration. Guard: each tile is standardised separately; tiles never touch and are at a random
    position in their cell; an image occurs with many permutations, so a position does not identify a tile; each colour
    channel of a tile is cut with its own small shift, and `--task.grey` of the images are grey. Each tile is resampled
    separately from a random sub-pixel position, so that no resampling pattern gives away its position; puzzles of white
    noise cannot be solved (`ops.tiles`).

    Differences from the paper: tiles are a quarter of the stored image's side (64 of 255 pixels, as the authors' code),
    16 pixels at size 32; K = 100 by default; permutations are chosen by their smallest distance first and their mean
    distance second; random squares of the image, half of them mirrored; batch normalisation in the head, and narrower
    layers; `occluded` replaces embeddings instead of pixels, which is equivalent as tiles are encoded separately; no
    clustering stage as in Jigsaw++; no dropout, which DeepPermNet has; AdamW with a cosine instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        target: Literal["number", "matrix"] = "number"
        """What is predicted: the number of the permutation in a list, or its matrix, for any permutation."""
        permutations: Annotated[int, Range(least=2, most=1000)] = 100
        """Number of permutations K in the list; up to 1000 in the paper, fewer are easier."""
        tile: Annotated[int, Range(least=0)] = 0
        """Side P of a tile in pixels; 0 uses a quarter of the stored image's side, or the encoder's minimum."""
        gap: Annotated[float, Range(above=0, most=1)] = 0.33
        """Difference between the side of a cell and of its tile, as a fraction of P: mean gap and range of the
        jitter."""
        shift: Annotated[float, Range(least=0, most=10)] = 2.0
        """Largest shift of a colour channel, in pixels of an image of 225 pixels."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.3
        """Share of the images that are shown grey; 0.7 in Jigsaw++."""
        puzzles: Annotated[int, Range(least=1)] = 4
        """Number of puzzles Q per image and step, with the same tiles."""
        occluded: Annotated[int, Range(least=0, most=3)] = 0
        """Largest number of tiles per puzzle replaced by tiles of another image; 2 in Jigsaw++."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the image's area that the puzzle covers."""
        embedding: Annotated[int, Range(least=1)] = 256
        """Width E of fc6, for each tile; 1024 in the paper."""
        hidden: Annotated[int, Range(least=1)] = 1024
        """Width F of fc7; 4096 in the paper."""
        sinkhorn: Annotated[int, Range(least=1, most=100)] = 1
        """Normalisations of the matrix over rows, then columns; 1 in the code of DeepPermNet."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.target == "matrix" and self.occluded:
                raise ValueError(
                    f"--task.occluded must be 0 with --task.target matrix, got {self.occluded}: a tile of another "
                    "image has no cell"
                )

    permutations: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        name, flag = "jigsaw", "--task.tile"
        side = fit_tile(encoder, asked=config.tile, default=default_tile(size), size=size, task=name, flag=flag)
        self.grid = puzzle_grid(side, gap=config.gap, shift=config.shift)
        if config.tile:
            check_grid(self.grid, size=size, task=name, flag=flag)
        self.encoder = encoder
        self.config = config
        self.size = size
        self.embedding = _layer(encoder.num_features, config.embedding)
        outputs = TILES * TILES if config.target == "matrix" else config.permutations
        self.head = nn.Sequential(_layer(TILES * config.embedding, config.hidden), nn.Linear(config.hidden, outputs))
        self.register_buffer("permutations", permutation_set(config.permutations).clone())

    def chance(self, batch_size: int) -> float:
        return 1 / (TILES if self.config.target == "matrix" else self.config.permutations)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of 9 N tiles and N Q puzzles."""
        n, device = len(batch), rng.device
        tiles = random_tiles(batch["image"], self.grid, rng, min_scale=self.config.min_scale)
        grey = uniform((n, 1, 1, 1, 1), 0, 1, rng) < self.config.grey
        tiles = torch.where(grey, to_grey(tiles), tiles)
        shift = torch.randint(2 * self.grid.shift + 1, (2, n, TILES, 1, 3), generator=rng, device=device)
        # The channels of a grey image stay together, or it would get colours.
        top, left = torch.where(grey.view(n, 1, 1, 1), shift[..., :1], shift).flatten(1, 2)
        tiles = standardise_tiles(cut_tiles(tiles.flatten(0, 1), top, left, self.grid.tile)[:, 0])
        permutation, order = self._shuffle((n, self.config.puzzles), rng)
        places = order + TILES * torch.arange(n, device=device)[:, None, None]
        if self.config.occluded:
            places = self._occlude(places, rng)
        return Example(tiles.contiguous(memory_format=torch.channels_last), places, order, permutation)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, Q, K); for the matrix, log p (N, Q, 9, 9) of each cell for the tile at each place."""
        embeddings = self.embedding(self.encoder(example.tiles))
        logits: Tensor = self.head(embeddings[example.places].flatten(2).flatten(0, 1))
        if self.config.target == "matrix":
            return sinkhorn(logits.view(*example.order.shape, TILES), self.config.sinkhorn)
        return logits.view(*example.order.shape[:2], -1)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the permutations, or over the cells of each tile, summed over the tiles of a puzzle."""
        if example.permutation is not None:
            return classification(prediction.flatten(0, 1), example.permutation.flatten())
        likely = prediction.gather(3, example.order[..., None])[..., 0]
        right = prediction.detach().argmax(3) == example.order
        return {
            "loss": -likely.sum(2).mean(),
            "accuracy": right.float().mean(),
            "solved": right.all(2).float().mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The shuffled tiles, the tiles in order, and in the predicted order."""
        tiles = as_pictures(example.tiles)
        right = example.order
        shown = []
        for i in range(min(count, right.shape[0] * right.shape[1])):
            row, column = i % len(right), i // len(right)
            puzzle, guess = tiles[example.places[row, column]], prediction[row, column].detach().float()
            chosen = nearest_permutation(guess) if guess.dim() == 2 else self.permutations[guess.argmax()]
            # Permutation p puts tile p[j] at place j; to undo it, the tile at j goes to p[j].
            solved, guessed = (puzzle[p.argsort()] for p in (right[row, column], chosen))
            shown.append(Shown(inputs=[mosaic(puzzle)], pseudo_label=mosaic(solved), prediction=mosaic(guessed)))
        return shown

    def _shuffle(self, shape: tuple[int, int], rng: Generator) -> tuple[Tensor | None, Tensor]:
        """Permutations of the list with their numbers, or any permutations: (N, Q) or None, (N, Q, 9)."""
        if self.config.target == "matrix":
            return None, uniform((*shape, TILES), 0, 1, rng).argsort(2)
        number = torch.randint(self.config.permutations, shape, generator=rng, device=rng.device)
        return number, self.permutations[number]

    def _occlude(self, places: Tensor, rng: Generator) -> Tensor:
        """In every puzzle 0 ... `occluded` tiles, uniformly, become tiles of one other image."""
        n, q, _ = places.shape
        number = torch.randint(self.config.occluded + 1, (n, q, 1), generator=rng, device=rng.device)
        rank = uniform((n, q, TILES), 0, 1, rng).argsort(2).argsort(2)
        further = torch.randint(max(1, n - 1), (n, q, 1), generator=rng, device=rng.device)
        other = (torch.arange(n, device=rng.device)[:, None, None] + 1 + further) % n
        tile = torch.randint(TILES, (n, q, TILES), generator=rng, device=rng.device)
        return torch.where(rank < number, TILES * other + tile, places)


def puzzle_grid(tile: int, *, gap: float, shift: float) -> Grid:
    """Cells `gap` larger than a tile; of what colours leave, a quarter stays free and a tile moves in the rest."""
    moved = round(shift * CELLS * (1 + gap) * tile / 225)
    room = max(round(gap * tile) - 2 * moved, 3)
    return Grid(tile=tile, pitch=tile + room + 2 * moved, play=room - max(2, room // 4), shift=moved)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())

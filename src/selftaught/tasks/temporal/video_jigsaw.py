"""Video jigsaw puzzles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.frames import split_channels, square_boxes
from selftaught.ops.sheet import flip_book, lay_strip, numbered
from selftaught.ops.tiles import as_pictures, mosaic, standardise_tiles
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import encoder_of, short_clips
from selftaught.tasks.parts.losses import classification
from selftaught.tasks.parts.permutations import coherent_permutation_set

FRAMES, CELLS = 3, 4
"""Frames of a puzzle, and cells of each, 2 x 2."""
TILES = FRAMES * CELLS
TILE = 0.75
"""Side of a tile as a share of its cell's."""


@dataclass
class Example:
    """Tiles, standardised, and the puzzles of them.

    Attributes:
        tiles: (12 N, 3, S, S), or short clips (12 N, 3, L, S, S): the three frames of each clip in order of time, cells
            row by row.
        places: (N, Q, 12) int64, row of `tiles` at each place of a puzzle.
        permutation: (N, Q) int64, the number of the permutation by which the tiles were shuffled.
    """

    tiles: Tensor
    places: Tensor
    permutation: Tensor


class VideoJigsaw(PretextTask):
    """Predict by which of K permutations 12 tiles of three frames were shuffled (Ahsan, Madhok, Essa, WACV 2019).

    Link: https://arxiv.org/abs/1808.07507

    Flow: clip (N, T, 3, H, W) -> three frames, equally far apart -> 2 x 2 tiles of the same square of each (12 N, 3, S,
    S) -> 2-D encoder, shared by all tiles (12 N, D) -> fc6 (12 N, E) -> Q puzzles of each clip, embeddings in shuffled
    order (N Q, 12 E) -> fc7 (N Q, F) -> K logits -> cross entropy.

    To put the tiles in order, the network must know the arrangement of parts in space and of poses in time together.
    Of all 12! permutations only those are used that keep the tiles of a frame side by side (spatial coherence): frames
    are shuffled as a whole, and tiles within their frame, 3! (4!)^3 = 82,944 in all. The K of them are far from each
    other in Hamming distance (`parts.permutations`), as similar ones would be ambiguous.

    Shortcut: brightness and contrast of tiles, edges that continue from tile to tile, chromatic aberration, tiles of
    two frames that are the same pixel by pixel, the border of the frame, and the traces of a codec. Guard: each tile is
    standardised separately; it is at a random position of its cell, of which it has three quarters of the side, in each
    frame another; it is reduced to one colour channel, drawn at random; it has a blur and noise of its own; bars and
    the border are cut off (`ops.clips.windows`). Puzzles of noise are at chance, and so is the order of frames in
    clips of one repeated frame or whose only cue is the border or the codec.

    Differences from the paper: K = 100 by default; permutations are chosen by their smallest distance first and their
    mean distance second; each clip is shown in Q puzzles, as tiles are encoded once; half of the clips are mirrored;
    one channel for each tile, and blur and noise; batch normalisation in the head, and narrower layers; short clips
    with an encoder of video (`clip`) are an addition; AdamW with a cosine instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        permutations: Annotated[int, Range(least=2, most=2000)] = 100
        """Number of permutations K; 1000 in the paper, fewer are easier."""
        frames: Annotated[int, Range(least=3)] = 15
        """Frames of the clip (T), from which the three are chosen."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        gap: Annotated[int, Range(least=1)] = 3
        """Smallest distance between two of the three frames, in frames of the clip."""
        clip: Annotated[int, Range(least=1, most=64)] = 1
        """Frames of the short clip that stands for each frame; above 1, the encoder is one of video."""
        puzzles: Annotated[int, Range(least=1)] = 4
        """Number of puzzles Q per clip and step, with the same tiles; 1 in the paper."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the square that is cut into tiles, as a share of the short side between black bars."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a tile, which hide the traces of a codec; 0, the paper's, for
        none."""
        embedding: Annotated[int, Range(least=1)] = 256
        """Width E of fc6, for each tile."""
        hidden: Annotated[int, Range(least=1)] = 1024
        """Width F of fc7."""

        def __post_init__(self) -> None:
            super().__post_init__()
            least = 2 * self.gap + 1
            if self.frames < least:
                raise ValueError(
                    f"--task.frames must be at least 2 gaps + 1 = {least} to hold three frames, got {self.frames}; "
                    "raise it or lower --task.gap"
                )

    permutations: Tensor

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.embedding = _layer(encoder.num_features, config.embedding)
        self.head = nn.Sequential(
            _layer(TILES * config.embedding, config.hidden), nn.Linear(config.hidden, config.permutations)
        )
        self.register_buffer("permutations", coherent_permutation_set(config.permutations, FRAMES, CELLS).clone())

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames + config.clip - 1, stride=config.stride)}

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """An encoder of video where frames are short clips."""
        return encoder_of(config.clip)

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.permutations

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of 12 N tiles and N Q puzzles."""
        video = batch["video"]
        n = len(video)
        squares = square_boxes(inner_areas(video, self.size), rng, least_side=self.config.least_side)
        clips = short_clips(video, self.choose_frames(n, rng), self.config.clip)
        groups = clips.repeat_interleave(CELLS, 1).flatten(0, 1)
        cut = degraded_crop(
            groups, place_tiles(squares, rng).flatten(0, 1), self.size, rng, strength=self.config.degrade
        )
        # All frames of a short clip keep the same channel and are standardised as one tile, one below the other.
        tall = split_channels(cut.transpose(1, 2).flatten(2, 3)[None], rng)[0]
        tiles = standardise_tiles(tall).unflatten(2, (self.config.clip, self.size))
        tiles = tiles[:, :, 0] if self.config.clip == 1 else tiles
        memory = torch.channels_last if self.config.clip == 1 else torch.channels_last_3d
        permutation = torch.randint(
            self.config.permutations, (n, self.config.puzzles), generator=rng, device=rng.device
        )
        places = self.permutations[permutation] + TILES * torch.arange(n, device=rng.device)[:, None, None]
        return Example(tiles.contiguous(memory_format=memory), places, permutation)

    def choose_frames(self, count: int, rng: Generator) -> Tensor:
        """Numbers (N, 3) of three frames, equally far apart by `gap` or more, anywhere in the clip."""
        most = (self.config.frames - 1) // 2
        step = torch.randint(self.config.gap, most + 1, (count, 1), generator=rng, device=rng.device)
        free = self.config.frames - 2 * step
        first = (uniform((count, 1), 0, 1, rng) * free).long().minimum(free - 1)
        return first + step * torch.arange(FRAMES, device=rng.device)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, Q, K)."""
        embeddings = self.embedding(self.encoder(example.tiles))
        logits: Tensor = self.head(embeddings[example.places].flatten(2).flatten(0, 1))
        return logits.view(*example.permutation.shape, -1)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the permutations; also how often the frames alone are in the right order."""
        chosen = self.permutations[prediction.detach().argmax(2)]
        right = self.permutations[example.permutation]
        # With coherent permutations, the frame of every fourth tile is that of its group.
        is_ordered = (chosen[..., ::CELLS] // CELLS == right[..., ::CELLS] // CELLS).all(2)
        scalars = classification(prediction.flatten(0, 1), example.permutation.flatten())
        return scalars | {"accuracy_frames": is_ordered.float().mean()}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The shuffled tiles of the three frames, one after the other and side by side; in order; as predicted."""
        tiles = example.tiles if example.tiles.ndim == 4 else example.tiles[:, :, 0]
        pictures = as_pictures(tiles)
        chosen = self.permutations[prediction.detach().float().argmax(2)]
        right = self.permutations[example.permutation]
        found = []
        for i in range(min(count, example.permutation.numel())):
            row, column = i % len(right), i // len(right)
            numbers = (right[row, column] + 1).tolist()
            puzzle = numbered(pictures[example.places[row, column]], numbers)
            # Permutation p puts tile p[j] at place j; to undo it, the tile at j goes to p[j].
            solved, guessed = (_frames(puzzle[p[row, column].argsort().cpu()]) for p in (right, chosen))
            found.append(
                Shown(
                    inputs=[flip_book(_frames(puzzle)), lay_strip(_frames(puzzle))],
                    pseudo_label=flip_book(solved),
                    prediction=flip_book(guessed),
                )
            )
        return found


def place_tiles(squares: Tensor, rng: Generator) -> Tensor:
    """Boxes (N, 12, 4) of tiles, each anywhere in its cell, from the squares (N, 4) of clips, mirrored or not."""
    top, left, side, across = squares[:, :, None].unbind(1)
    number = torch.arange(TILES, device=rng.device) % CELLS
    cell, sign = side / 2, across.sign()
    room = uniform((2, len(squares), TILES), 0, 1, rng) * cell * (1 - TILE)
    down, right = room + torch.stack([number // 2, number % 2])[:, None] * cell
    own = (cell * TILE).expand_as(down)
    return torch.stack([top + down, left + sign * right, own, sign * own], 2)


def _frames(tiles: Tensor) -> Tensor:
    """12 tiles as three images of 2 x 2, (3, 3, H, W)."""
    return torch.stack([mosaic(own) for own in tiles.split(CELLS)])


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())

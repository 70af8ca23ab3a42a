"""Equivariance to egomotion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.distributed import gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Given, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.clips.camera_motion import AXES, MIRRORED, along, draw_pairs, motion_between, words_of
from selftaught.tasks.parts.kmeans import kmeans, nearest

Form = Literal["linear", "squared"]


@dataclass
class Example:
    """First frames, then second frames (2 N, 3, S, S), normalised; motions (N, A) and their patterns (N,) int64.

    `video` (N,) int64 is the number of each pair's video.
    """

    images: Tensor
    motion: Tensor
    pattern: Tensor
    video: Tensor


class EgomotionEquivariance(PretextTask):
    """Let the motion of the camera move features in a way that is known (Jayaraman, Grauman, ICCV 2015).

    Link: https://arxiv.org/abs/1505.02206 (Learning image representations tied to ego-motion)

    Flow: frames (N, T, 3, H, W) and poses of the camera (N, T, 4, 4) -> two frames, 1 to `gap` apart, in random order
    (2 N, 3, S, S), and the pattern p of the motion between them: the nearest of G clusters, found by k-means in the
    motions of all training videos, each axis divided by its standard deviation -> 2-D encoder, linear layer on its map:
    features a, b (N, D) of the first and second frames -> a map M_g (D, D) of each pattern -> d_g = |M_g a - b| (N, G).

    Loss = d_p + sum of max(0, margin - d_g) over the other patterns g; plus `coherence` times the loss of DRLIM:
    |a_i - b_i|^2 / 2, and max(0, margin - |a_i - b_j|)^2 / 2 for frames of different videos i, j. `--task.form squared`
    takes the distances of the first part as DRLIM does, too.

    Features that only stay the same as the camera moves (coherence alone) may forget where things are. Equivariant
    ones must change, and in the same way wherever the camera moves so.

    The metric is how often the map of the true pattern leads nearest to the second frame. In the loss and the metric
    each pair counts by one over the share of its pattern in training, as half of all motions may be of one pattern: a
    constant guess is right once in G times. `equivariance_error` is |M_p a - b| / |a - b|, below 1 where the map says
    more than that nothing changes.

    Shortcut: the order of the frames and their distance in time say how far the camera went; a codec leaves traces of
    both; so does a border. Guard: as of `egomotion`: the network sees pixels only; either frame may be the first, and
    the distance is random; each frame has its own blur and noise, and bars and the border are cut off; poses serve as
    labels only.

    Differences from the paper: no supervised loss is added; features come from a linear layer on the map of any
    encoder; pairs also go back in time and are mirrored, with their motion, so patterns come in opposite pairs; the
    negatives of DRLIM are all frames of other videos of a batch (`gather_rows` of all processes); the weights
    of patterns, blur, noise and random windows are additions.
    """

    needs_moving_camera = True
    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        axes: Literal["planar", "rotation", "all"] = "planar"
        """Axes of the motions that are clustered: x, z and yaw, as of a car; the three rotations; or all six."""
        patterns: Annotated[int, Range(least=2, most=200)] = 6
        """Patterns of motion G."""
        gap: Annotated[int, Range(least=1)] = 7
        """Largest distance of the two frames, in steps of `stride`."""
        stride: Annotated[int, Range(least=1)] = 1
        """Frames of the video in a step."""
        width: Annotated[int, Range(least=1)] = 64
        """Features D that the maps move."""
        form: Literal["linear", "squared"] = "linear"
        """Loss of a distance: itself and its lack of the margin, or half of the squares of both."""
        margin: Annotated[float, Range(above=0)] = 1.0
        """Distance beyond which other patterns and other videos are apart."""
        coherence: Annotated[float, Range(least=0)] = 0.1
        """Weight of the loss of DRLIM; 0 for equivariance alone."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the short side between black bars."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise of each frame, which hide traces of a codec; 0 for none."""

    centres: Tensor
    spread: Tensor
    shares: Tensor

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.axes = AXES[config.axes]
        channels, side = map_shape(encoder, size)
        # Of the whole map, for pooling would take away where things are.
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, config.width))
        near = 0.01 * torch.randn(config.patterns, config.width, config.width)
        self.maps = nn.Parameter(torch.eye(config.width) + near)
        self.register_buffer("centres", torch.zeros(config.patterns, len(self.axes)))
        self.register_buffer("spread", torch.ones(len(self.axes)))
        self.register_buffer("shares", torch.full((config.patterns,), 1 / config.patterns))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.gap + 1, stride=config.stride), "pose": Given("pose")}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A single frame."""
        return Clip(frames=1)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.patterns

    def refresh_epochs(self) -> float:
        """Once: the patterns stay."""
        return math.inf

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Motions (N, 4 gap A) from the first frame of a clip to each later one and back, and their mirror images."""
        pose = batch["pose"]
        later = pose[:, 1:].flatten(0, 1)
        first = pose[:, :1].expand(-1, pose.shape[1] - 1, -1, -1).flatten(0, 1)
        motion = torch.cat([motion_between(first, later), motion_between(later, first)], 1).view(len(later), 2, 6)
        both = torch.cat([motion, motion * motion.new_tensor(MIRRORED)], 1)
        return along(both.flatten(0, 1), self.axes).reshape(len(pose), -1)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Patterns by k-means of the motions in all training videos, those of the smallest motions first."""
        motion = known.features.float().view(-1, len(self.axes))
        self.spread = motion.std(0).clamp(min=1e-6)
        scaled = motion / self.spread
        found, _ = kmeans(
            scaled.repeat(-(-self.config.patterns // len(scaled)), 1), self.config.patterns, rng, restarts=5
        )
        self.centres = found[found.norm(dim=1).argsort(stable=True)]
        # Two clusters may be the same point, of which only the first is ever the nearest.
        counts = torch.bincount(nearest(scaled, self.centres), minlength=self.config.patterns).clamp(min=1)
        self.shares = counts / len(scaled)
        return Refreshed(scalars={"largest_share": float(self.shares.max())})

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 and poses (N, T, 4, 4) -> `Example`."""
        config = self.config
        images, motion = draw_pairs(
            batch["video"], batch["pose"], self.size, rng, least_side=config.least_side, degrade=config.degrade
        )
        motion = along(motion, self.axes)
        return Example(images, motion, nearest(motion / self.spread, self.centres), batch.index)

    def forward(self, example: Example) -> tuple[Tensor, Tensor]:
        """Features (N, D) of the first and of the second frames."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        first, second = self.head(last_map(self.encoder, images)).float().chunk(2)
        return first, second

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """|M_g a - b| (N, G) of features (N, D)."""
        moved = torch.einsum("gij,nj->ngi", self.maps.float(), first)
        return _length(moved - second[:, None])

    def loss(self, prediction: tuple[Tensor, Tensor], example: Example) -> dict[str, Tensor]:
        """Equivariance and coherence; accuracy of the nearest map, and median of the relative error."""
        first, second = prediction
        config, pattern = self.config, example.pattern
        distance = self.distances(first, second)
        is_true = torch.arange(config.patterns, device=pattern.device) == pattern[:, None]
        weight = 1 / (config.patterns * self.shares[pattern])  # of mean 1
        equivariance = (weight * torch.where(is_true, *contrast(distance, config.margin, config.form)).sum(1)).mean()
        apart = _length(first[:, None] - gather_rows(second)[None])
        other = (example.video[:, None] != gather_rows(example.video)[None]).float()
        stay = _length(first - second)
        push = (contrast(apart, config.margin, "squared")[1] * other).sum(1) / other.sum(1).clamp(min=1)
        coherence = (contrast(stay, config.margin, "squared")[0] + push).mean()
        with torch.no_grad():
            error = (distance * is_true).sum(1) / stay.clamp(min=1e-6)
        return {
            "loss": equivariance + config.coherence * coherence,
            "accuracy": (weight * (distance.argmin(1) == pattern)).sum() / weight.sum(),
            "equivariance_error": error.median(),
            "equivariance": equivariance.detach(),
            "coherence": coherence.detach(),
        }

    def show(self, example: Example, prediction: tuple[Tensor, Tensor], count: int) -> list[Shown]:
        """Both frames, the motion, and the middle of the pattern whose map leads nearest."""
        best = self.distances(*(one.detach() for one in prediction)).argmin(1)
        found = self.centres[best] * self.spread
        first, second = example.images.chunk(2)
        return [
            Shown(
                inputs=[*denormalise(torch.stack([first[n], second[n]]))],
                pseudo_label=words_of(example.motion[n], self.axes),
                prediction=words_of(found[n], self.axes),
            )
            for n in range(min(count, len(found)))
        ]


def contrast(distance: Tensor, margin: float, form: Form) -> tuple[Tensor, Tensor]:
    """Loss of distances that should be 0, and of those that should be at least the margin."""
    lack = (margin - distance).clamp(min=0)
    return (distance, lack) if form == "linear" else (distance.square() / 2, lack.square() / 2)


def _length(vectors: Tensor) -> Tensor:
    """Of (..., D), with a gradient of 0 at 0."""
    return (vectors.square().sum(-1) + 1e-12).sqrt()

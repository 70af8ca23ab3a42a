"""Rotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.warp import all_rotations
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """Rotated images (A * N, 3, S, S) normalised, and the index of their angle (A * N,) int64."""

    images: Tensor
    angle: Tensor


class Rotation(PretextTask):
    """Predict by which multiple of 90 degrees an image was rotated (Gidaris, Singh, Komodakis, ICLR 2018).

    Link: https://arxiv.org/abs/1803.07728

    Flow: image (N, 3, H, W) -> random crop (N, 3, S, S) -> all A rotations (A N, 3, S, S) -> encoder
    (A N, D) -> linear (A N, A) -> cross entropy with the angle's index, the mean over all rotated copies
    (the paper's eq. 3).

    To predict the angle, the network must know what objects look like upright. All copies of an image are in the same
    batch; the paper finds this better than one random rotation each.

    Shortcut: an interpolated rotation leaves traces that give away the angle, and so would a crop whose pixels are
    resampled differently along the two axes. Guard: the crop is cut and resized first, with an aspect ratio r as likely
    as 1/r; stored images keep their aspect ratio, and the rotation itself only transposes and flips. Flips come before
    the rotation, so they are equally likely at every angle.

    Differences from the paper: one linear layer follows global pooling (as in its ResNet variants; its
    AlexNet has two hidden layers); the learning rate falls by a cosine instead of three steps.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        angles: Literal[2, 4] = 4
        """Number of rotations: 4 (0, 90, 180, 270 degrees) or 2 (0, 180)."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.angles)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.angles

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of A * N rotated crops, angle-major."""
        crops = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0)))
        turns = [0, 1, 2, 3] if self.config.angles == 4 else [0, 2]
        angle = torch.arange(len(turns), device=crops.device).repeat_interleave(len(crops))
        images = all_rotations(crops, turns).contiguous(memory_format=torch.channels_last)
        return Example(images, angle)

    def forward(self, example: Example) -> Tensor:
        """Logits (A * N, A)."""
        logits: Tensor = self.head(self.encoder(example.images))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the angles."""
        return classification(prediction, example.angle)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Copies of different images at different angles, spread over the batch."""
        images, angles = len(example.angle) // self.config.angles, self.config.angles
        rows = [(i % angles) * images + i % images for i in range(count)]
        degrees = 360 // angles
        chosen = prediction.detach().float().softmax(1)
        return [
            Shown(
                inputs=[denormalise(example.images[r : r + 1])[0]],
                pseudo_label=f"{int(example.angle[r]) * degrees}°",
                prediction=f"{int(chosen[r].argmax()) * degrees}° ({float(chosen[r].max()):.2f})",
            )
            for r in rows
        ]

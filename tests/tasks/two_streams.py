"""A task for tests, with two encoders: one of images in colour, one of two channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks import Batch, EncoderSpec, Image, Input, PretextTask, Shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """Images (N, 3, S, S) normalised, differences (N, 2, S, S), and 1 where both are of one image, else 0, (N,)."""

    images: Tensor
    differences: Tensor
    target: Tensor


class TwoStreams(PretextTask):
    """Tell whether an image and differences of its neighbouring pixels belong together (Nobody, Test 2026).

    Shortcut: none is blocked in this test.
    """

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("image"),
        "flow_encoder": EncoderSpec("image", channels=2, default="timm:test_vit"),
    }

    @dataclass(frozen=True, kw_only=True)
    class Config:
        hidden: int = 8
        """Width of the layer in which both features meet."""

    def __init__(self, encoder: Encoder, config: Config, size: int, *, flow_encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.flow_encoder, self.size = encoder, flow_encoder, size
        width = encoder.num_features + flow_encoder.num_features
        self.head = nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        images = normalise(random_resized_crop(batch["image"], self.size, rng))
        target = (uniform((len(images),), 0, 1, rng) < 0.5).long()
        grey = images.mean(1)
        differences = torch.stack([grey - grey.roll(1, 1), grey - grey.roll(1, 2)], 1)
        own = torch.arange(len(images), device=target.device)
        return Example(images, differences[torch.where(target == 1, own, own.roll(1))], target)

    def forward(self, example: Example) -> Tensor:
        both = [self.encoder(example.images), self.flow_encoder(example.differences)]
        logits: Tensor = self.head(torch.cat(both, 1))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        return classification(prediction, example.target)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=str(int(example.target[n])),
                prediction=str(int(prediction[n].argmax())),
            )
            for n in range(min(count, len(prediction)))
        ]

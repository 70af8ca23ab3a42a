"""A task for tests whose result is the moving average of its encoder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks import Batch, Image, Input, PretextTask, Shown


@dataclass
class Example:
    """Two views (N, 3, S, S) of each image, normalised."""

    one: Tensor
    other: Tensor


class WithTeacher(PretextTask):
    """Predict the features that a moving average of the encoder has of another view (Nobody, Test 2026).

    Shortcut: none is blocked in this test.
    """

    kept: ClassVar[str] = "teacher"

    @dataclass(frozen=True, kw_only=True)
    class Config:
        momentum: float = 0.5
        """What the teacher keeps of itself at each step."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder, self.config, self.size = encoder, config, size
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        one, other = (normalise(random_resized_crop(batch["image"], self.size, rng)) for _ in range(2))
        return Example(one, other)

    def forward(self, example: Example) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = self.teacher(example.other)
        return self.encoder(example.one), target

    def loss(self, prediction: tuple[Tensor, Tensor], example: Example) -> dict[str, Tensor]:
        likeness = F.cosine_similarity(prediction[0].float(), prediction[1].float()).mean()
        return {"loss": 1 - likeness, "accuracy": likeness.detach()}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        for mean, own in zip(self.teacher.parameters(), self.encoder.parameters(), strict=True):
            mean.lerp_(own, 1 - self.config.momentum)

    def show(self, example: Example, prediction: tuple[Tensor, Tensor], count: int) -> list[Shown]:
        return [
            Shown(inputs=[denormalise(example.one[n : n + 1])[0]], pseudo_label="alike", prediction="alike")
            for n in range(min(count, len(example.one)))
        ]

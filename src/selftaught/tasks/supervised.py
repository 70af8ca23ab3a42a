"""Supervised training, the reference for all pretext tasks: the same encoder and loop, with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Given, Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """Augmented images (N, 3, S, S) normalised and their class (N,) int64."""

    images: Tensor
    label: Tensor


class Supervised(PretextTask):
    """Predict the class a person gave: not a pretext task but the upper reference (Krizhevsky, NIPS 2012).

    Flow: image (N, 3, H, W) -> random-resized crop, mirrored half the time (N, 3, S, S) -> encoder (N, D)
    -> linear (N, K) -> cross entropy.
    """

    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        classes: int = 0
        """Number of classes K; set from the data."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image(), "label": Given("label")}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.classes)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.classes

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 and label (N,) -> `Example`."""
        crops = random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0))
        return Example(normalise(crops), batch["label"])

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K)."""
        logits: Tensor = self.head(self.encoder(example.images))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the classes."""
        return classification(prediction, example.label)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Images with their class index and the one predicted."""
        pictures = denormalise(example.images)
        return [
            Shown(
                inputs=[pictures[i]],
                pseudo_label=f"class {int(example.label[i])}",
                prediction=f"class {int(prediction[i].argmax())}",
            )
            for i in range(min(count, len(pictures)))
        ]

"""Supervised training, the reference for all pretext tasks: the same encoder and loop, with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Given, Image, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.encoders.modality import modality_of
from selftaught.ops.colour import denormalise, denormalise_clips
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """Augmented images (N, 3, S, S) or clips (N, 3, T, S, S), normalised, and their class (N,) int64."""

    views: Tensor
    label: Tensor


class Supervised(PretextTask):
    """Predict the class a person gave: not a pretext task but the upper reference (Krizhevsky, NIPS 2012).

    Flow: image (N, 3, H, W) -> random-resized crop, mirrored half the time (N, 3, S, S) -> encoder (N, D)
    -> linear (N, K) -> cross entropy. With `frames` above 1 the same with clips (N, T, 3, H, W): one crop for all
    frames of a clip (N, 3, T, S, S).
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        classes: int = 0
        """Number of classes K; set from the data."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""
        frames: Annotated[int, Range(least=1)] = 1
        """Frames of a clip; 1 trains on single images."""
        stride: Annotated[int, Range(least=1)] = 1
        """Take every N-th frame of the video for a clip."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return (
            {"clip": Clip(frames=config.frames, stride=config.stride), "label": Given("label")}
            if config.frames > 1
            else {"image": Image(), "label": Given("label")}
        )

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        return {"encoder": EncoderSpec("video")} if config.frames > 1 else cls.encoders

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.classes)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.classes

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) or clip (N, T, 3, H, W) uint8 and label (N,) -> `Example`."""
        x = batch["clip" if self.config.frames > 1 else "image"]
        views = modality_of(x).training_view(x, self.size, rng, min_scale=self.config.min_scale)
        return Example(views, batch["label"])

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K)."""
        logits: Tensor = self.head(self.encoder(example.views))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the classes."""
        return classification(prediction, example.label)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Images or clips with their class index and the one predicted."""
        views = example.views[:count]
        shown = denormalise(views) if views.ndim == 4 else denormalise_clips(views).transpose(1, 2)
        return [
            Shown(
                inputs=[shown[i]],
                pseudo_label=f"class {int(example.label[i])}",
                prediction=f"class {int(prediction[i].argmax())}",
            )
            for i in range(len(shown))
        ]

"""Split-brain autoencoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import map_shape
from selftaught.encoders.spec import EncoderSpec
from selftaught.encoders.split import SplitEncoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.colour_bins import NUM_BINS, decode_ab, encode_ab
from selftaught.tasks.parts.heads import Decoder
from selftaught.tasks.parts.running_histogram import RunningHistogram

LIGHTNESS_BINS = 50
"""Classes of the lightness L in [0, 100], each of width 2."""


@dataclass
class Example:
    """Images and what each half is to predict, at a part of the side, s = S // `coarse`.

    Attributes:
        images: (N, 3, S, S) normalised, in colour; the encoder splits them.
        colour: (N, s, s) int64, bin of (a, b), of 313.
        lightness: (N, s, s) int64, bin of L, of 50.
    """

    images: Tensor
    colour: Tensor
    lightness: Tensor


@dataclass
class Prediction:
    """Logits (N, 313, s, s) of colour from lightness, and (N, 50, s, s) of lightness from colour."""

    colour: Tensor
    lightness: Tensor


class SplitBrain(PretextTask):
    """Predict colour from lightness and lightness from colour, half a network each (Zhang, Isola, Efros, CVPR 2017).

    Link: https://arxiv.org/abs/1611.09842

    Flow: image (N, 3, H, W) -> random crop (N, 3, S, S) -> Lab: L to the encoder's first half, (a, b) to its second,
    each with half the channels -> up-convolutions for each half -> logits (N, 313, s, s) of (a, b) from L and (N, 50,
    s, s) of L from (a, b) -> the sum of both cross entropies. The features are those of both halves, concatenated.

    Neither half can solve its task by copying. Together they see the whole image, unlike a network trained to colourise
    grey images.

    Shortcut: a half that sees what it has to predict would copy it. Guard: the halves share no weights and no input;
    the first sees a function of L only, the second a and b only. The kept encoder has the prefix `split:`.

    Differences from the paper: labels are the mean colour of 8 x 8 pixels (`coarse`; 12 x 12 labels for 180 pixels in
    the paper); up-convolutions bring the last map to this resolution, where the paper's AlexNet has further
    convolutions; (a, b) is rounded to whole units before its bin is looked up; the learning rate falls by a cosine.

    The metric is the information of both halves: bits per place gained over predicting the class frequencies (0: no
    information); the accuracy of that baseline would depend on the data.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-2, betas=(0.9, 0.99))
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("image", sees="split")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        coarse: Annotated[int, Range(least=1)] = 8
        """Side of the square of pixels that one label covers."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        if not isinstance(encoder, SplitEncoder):
            raise ValueError(
                f"task 'split_brain' needs an encoder of two halves, got {encoder.name!r}; use --encoder split:NAME"
            )
        if config.coarse > size:
            raise ValueError(f"--task.coarse must be at most --size, which is {size}, got {config.coarse}")
        self.encoder: SplitEncoder = encoder
        self.config = config
        self.size = size
        self.side = size // config.coarse
        channels, side = map_shape(encoder.lightness, size)
        self.to_colour = Decoder(channels, side, out=NUM_BINS, side=self.side)
        self.to_lightness = Decoder(channels, side, out=LIGHTNESS_BINS, side=self.side)
        self.colours = RunningHistogram(NUM_BINS)
        self.lightnesses = RunningHistogram(LIGHTNESS_BINS)

    def metric_name(self) -> str:
        return "information"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`. In training the classes are added to the statistics."""
        pictures = random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0)).clamp_(0, 1)
        lab = rgb_to_lab(F.adaptive_avg_pool2d(pictures, self.side))
        colour = encode_ab(lab[:, 1:], neighbours=1)[0][:, 0]
        lightness = (lab[:, 0] / (100 / LIGHTNESS_BINS)).long().clamp(0, LIGHTNESS_BINS - 1)
        if self.training:
            self.colours.add(colour)
            self.lightnesses.add(lightness)
        return Example(normalise(pictures), colour, lightness)

    def forward(self, example: Example) -> Prediction:
        """Logits of both halves, each from the other's channels."""
        grey, colour = self.encoder.halves(example.images)
        return Prediction(
            colour=self.to_colour(self.encoder.lightness.forward_features(grey)),
            lightness=self.to_lightness(self.encoder.colour.forward_features(colour)),
        )

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """The sum of both cross entropies; bits known and accuracy, together and of each half."""
        scalars: dict[str, Tensor] = {}
        losses = []
        for name, logits, target, known in (
            ("colour", prediction.colour, example.colour, self.colours),
            ("lightness", prediction.lightness, example.lightness, self.lightnesses),
        ):
            losses.append(F.cross_entropy(logits.float(), target))
            ignorant = known.surprise()[target].mean()
            scalars[f"information_{name}"] = (ignorant - losses[-1].detach()) / math.log(2)
            scalars[f"accuracy_{name}"] = (logits.detach().argmax(1) == target).float().mean()
        total = scalars["information_colour"] + scalars["information_lightness"]
        return {"loss": losses[0] + losses[1], "information": total, **scalars}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """What each half sees, the image, and that of both predictions: L from colour, (a, b) from lightness."""
        pictures = denormalise(example.images[:count].float())
        lab = rgb_to_lab(pictures)
        middle = torch.full_like(lab[:, :1], 60.0)
        steps = torch.arange(LIGHTNESS_BINS, device=lab.device) * 2.0 + 1.0
        share = torch.softmax(prediction.lightness[:count].float(), 1)
        made = torch.cat([(share * steps[:, None, None]).sum(1, keepdim=True), decode_ab(prediction.colour[:count])], 1)
        made = F.interpolate(made, pictures.shape[2:], mode="bilinear", align_corners=False)
        grey = lab_to_rgb(torch.cat([lab[:, :1], torch.zeros_like(lab[:, 1:])], 1))
        colour = lab_to_rgb(torch.cat([middle, lab[:, 1:]], 1))
        predicted = lab_to_rgb(made)
        return [
            Shown(inputs=[grey[i], colour[i]], pseudo_label=pictures[i], prediction=predicted[i])
            for i in range(len(pictures))
        ]

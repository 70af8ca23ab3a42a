"""Inpainting with a context encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.fidelity import psnr
from selftaught.ops.masks import centre_square, mean_outside, random_blocks, random_regions, without_border
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import players_of_game, recipe_of_game
from selftaught.tasks.parts.discriminators import Discriminator
from selftaught.tasks.parts.heads import Decoder
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

BEST_PSNR = 50.0
"""dB above which no difference is visible; without a limit, an image of one colour would outweigh all others."""


@dataclass
class Example:
    """The pseudo-label is what was in the hole.

    images: (N, 3, S, S) normalised, the mean colour (0) in the hole.
    originals: (N, 3, S, S) in [0, 1].
    hole: (N, 1, S, S) bool, what the encoder does not see.
    asked: (N, 1, S, S) bool, what is predicted: the hole, and around a square one a border that is seen.
    """

    images: Tensor
    originals: Tensor
    hole: Tensor
    asked: Tensor


@dataclass
class Prediction:
    """Generated images (N, 3, S, S) in [-1, 1], only asked pixels count; the discriminator's logits (N,)."""

    made: Tensor
    made_logits: Tensor | None = None
    real_logits: Tensor | None = None


class Inpainting(PretextTask):
    """Predict the pixels of a hole from the image around it (Pathak, Krähenbühl, Donahue, Darrell, Efros, CVPR 2016).

    Link: https://arxiv.org/abs/1604.07379

    Flow: crop (N, 3, S, S) -> a hole of a quarter of its area, filled with the mean colour -> encoder, last map
    (N, C, h, h) -> every channel fully connected over its h x h places -> up-convolutions (N, 3, S, S), tanh -> squared
    error in the hole, values in [-1, 1] (the paper's eq. 1); with an adversarial weight of w, the loss is
    (1 - w) x squared error + w x adversarial loss (eq. 3; the paper takes w = 0.001).

    The missing part follows from what the image shows: the rest of a face, the other wheel. The layer connected over
    the whole map lets each place in a hole use information from all sides.

    The hole is the central square of half the side, five blocks, or (default) regions of any shape. The features
    evaluated in the paper and published by its authors were trained with regions and reconstruction only, so this is
    the default. `--task.adversarial 0.001` adds the adversarial loss, which gives sharp images, with alternating
    updates of discriminator and generator. For a square or blocks, the prediction includes a border of S / 32 pixels
    that the encoder sees and whose errors have ten times the weight, so that the parts fit together; the discriminator
    sees the central square, or the image with the holes filled.

    Shortcut: anything computed from the image with the content of the hole, such as its mean colour or resampling after
    the cut, contains information about the hole. Guard: the hole is cut last, it is filled with a constant of the data
    set, and the baseline prediction is the mean over visible pixels only.

    Differences from the paper: the encoder's last map takes the place of pool5; regions are where smooth noise is low,
    as in the authors' code (the paper cuts out shapes of PASCAL's objects); the metric is the gain in the hole, in dB,
    over the mean colour of the visible pixels (at most 50 dB per image); discriminator and generator have one learning
    rate (ten times higher for the generator in the authors' code).
    """

    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=5e-4, betas=(0.5, 0.999), momentum=0.5)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        mask: Literal["centre", "blocks", "region"] = "region"
        """Shape of the hole: the central square of half the side, blocks anywhere, or regions of any shape."""
        adversarial: Annotated[float, Range(least=0, below=1)] = 0.0
        """Weight w of the adversarial loss, with 1 - w for the squared error; 0 trains without a discriminator."""
        overlap: Annotated[float, Range(above=0)] = 10.0
        """Weight of errors on the visible border of a square or of blocks."""
        width: Annotated[int, Range(least=1)] = 256
        """Channels of the decoder at its lowest resolution; they halve with every doubling, down to 32."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def recipe_for(cls, config: Config) -> Recipe:
        return recipe_of_game(cls.recipe, config.adversarial)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        channels, side = map_shape(encoder, size)
        self.head = nn.Sequential(
            ChannelwiseConnected(channels, side),
            Decoder(channels, side, out=3, side=size, width=config.width),
            nn.Tanh(),
        )
        seen = size // 2 if config.mask == "centre" else size
        self.discriminator = Discriminator(seen) if config.adversarial else None

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return players_of_game(self.config.adversarial)

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        """The mean colour of what is visible."""
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of crops with a hole."""
        scale = (self.config.min_scale, 1.0)
        return self.cut(random_resized_crop(batch["image"], self.size, rng, scale=scale), rng)

    def cut(self, originals: Tensor, rng: Generator) -> Example:
        """Images (N, 3, S, S) in [0, 1] -> the same with a hole whose content nothing but `originals` keeps."""
        n, kind = len(originals), self.config.mask
        if kind == "region":
            asked = hole = random_regions(n, self.size, rng)
        else:
            device = originals.device
            asked = centre_square(n, self.size, device) if kind == "centre" else random_blocks(n, self.size, rng)
            hole = without_border(asked, max(1, round(self.size / 32)))
        return Example(normalise(originals).masked_fill_(hole, 0.0), originals, hole, asked)

    def forward(self, example: Example, player: str = "generator") -> Prediction:
        """Generated images, and the discriminator's logits of them."""
        if player == "discriminator":
            assert self.discriminator is not None
            with torch.no_grad():
                made = self._make(example.images)
            real = self.discriminator(self._judged(2 * example.originals - 1))
            return Prediction(made, self.discriminator(self._judged(self._filled(made, example))), real)
        made = self._make(example.images)
        if self.discriminator is None:
            return Prediction(made)
        return Prediction(made, self.discriminator(self._judged(self._filled(made, example))))

    def loss(self, prediction: Prediction, example: Example, player: str = "generator") -> dict[str, Tensor]:
        """The player's loss; for the generator also its gain over the mean colour of visible pixels, in dB."""
        if player == "discriminator":
            assert prediction.real_logits is not None
            assert prediction.made_logits is not None
            loss, accuracy = discriminator_bce(prediction.real_logits, prediction.made_logits)
            return {"loss": loss, "discriminator_accuracy": accuracy}
        made = prediction.made.float()
        squared = (made - (2 * example.originals - 1)).square()
        weight = torch.where(example.hole, 1.0, self.config.overlap) * example.asked
        error = (squared * weight).sum() / (3 * example.asked.sum()).clamp(min=1)
        scalars = {"loss": error, "error": error.detach()}
        if prediction.made_logits is not None:
            w, adversarial = self.config.adversarial, generator_bce(prediction.made_logits)
            scalars |= {"loss": (1 - w) * error + w * adversarial, "adversarial": adversarial.detach()}
        return scalars | self.fidelity(made, example)

    @torch.no_grad()
    def fidelity(self, made: Tensor, example: Example) -> dict[str, Tensor]:
        """PSNR in the hole (dB), and its gain over the mean colour of what is visible; means over images."""
        originals, hole = example.originals, example.hole
        reached = psnr((made + 1) / 2, originals, hole).clamp(max=BEST_PSNR)
        trivial = psnr(mean_outside(originals, hole).expand_as(originals), originals, hole).clamp(max=BEST_PSNR)
        return {"psnr": reached.mean(), "psnr_gain": (reached - trivial).mean()}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The image with its hole, the original, and the filled image."""
        seen, originals = denormalise(example.images), example.originals
        filled = torch.where(example.hole, (prediction.made.detach().float() + 1) / 2, originals)
        rows = range(min(count, len(seen)))
        return [Shown(inputs=[seen[i]], pseudo_label=originals[i], prediction=filled[i]) for i in rows]

    def _make(self, images: Tensor) -> Tensor:
        made: Tensor = self.head(last_map(self.encoder, images))
        return made

    def _filled(self, made: Tensor, example: Example) -> Tensor:
        """The asked pixels as generated, the others as they are; in [-1, 1]."""
        return torch.where(example.asked, made.float(), 2 * example.originals - 1)

    def _judged(self, pictures: Tensor) -> Tensor:
        """The part that the discriminator sees: of a central square, the square alone."""
        if self.config.mask != "centre":
            return pictures
        side = self.size // 2
        begin = (self.size - side) // 2
        return pictures[..., begin : begin + side, begin : begin + side]


class ChannelwiseConnected(nn.Module):
    """Fully connected within each channel, from every place of the map to every place (the paper's section 3.1).

    (N, C, h, h) -> the same shape; C x h^4 weights instead of the C^2 x h^4 of a layer that also mixes channels.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        places = side * side
        bound = 1 / math.sqrt(places)
        self.weight = nn.Parameter(torch.empty(channels, places, places).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels, 1, places))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2).transpose(0, 1)
        connected = torch.baddbmm(self.bias.to(x.dtype), flat, self.weight.to(x.dtype))
        return connected.transpose(0, 1).reshape(x.shape).contiguous(memory_format=torch.channels_last)

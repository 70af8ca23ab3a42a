"""Super-resolution."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import last_map, map_shape, stage_maps
from selftaught.encoders.weights.content import read_content
from selftaught.encoders.weights.load import take_weights
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.fidelity import psnr, ssim
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import players_of_game, recipe_of_game
from selftaught.tasks.parts.discriminators import Discriminator
from selftaught.tasks.parts.first_steps import FirstSteps
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

RATIO = 3 / 4
"""Narrowest crop, width by height; the widest is its inverse."""
BEST_PSNR = 50.0
"""dB above which no difference is visible; without a limit, an image of one colour would outweigh all others."""


@dataclass
class Example:
    """The pseudo-label is the image as it was, at full resolution.

    images: (N, 3, S, S) normalised, the low-resolution images enlarged by bicubic interpolation.
    small: (N, 3, S / 4, S / 4) in [0, 1], the low-resolution images.
    originals: (N, 3, S, S) in [0, 1].
    """

    images: Tensor
    small: Tensor
    originals: Tensor


@dataclass
class Prediction:
    """What a player's turn needs: generated images (N, 3, S, S), about [0, 1], and the discriminator's logits.

    made: always there. made_logits, real_logits: (N,), where there is a discriminator and the player needs them.
    content: features of the content network, of the images and of the originals; only for the generator.
    """

    made: Tensor
    made_logits: Tensor | None = None
    real_logits: Tensor | None = None
    content: tuple[Tensor, Tensor] | None = None


class SuperResolution(PretextTask):
    """Predict an image from a copy with a quarter of its resolution (Ledig et al., CVPR 2017).

    Link: https://arxiv.org/abs/1609.04802

    Flow: crop (N, 3, S, S) -> low resolution (N, 3, S / 4, S / 4) -> bicubic enlargement (N, 3, S, S) -> encoder, maps
    of all stages -> pixel-shuffle decoder (N, 3, S, S), added to the bicubic image -> squared error with the crop +
    0.006 x squared error of content features + 0.001 x adversarial loss (the paper's eq. 3-6, values in [-1, 1]).

    Lost detail cannot be computed from the small image: fur, leaves and bricks must be recognised. The generator is
    first trained alone with the squared error of pixels, as in the paper (10^6 of 1.2 x 10^6 updates). On CIFAR-10 it
    was then 1.0 dB better than bicubic interpolation after 130 steps, compared with 0.1 dB with the other two losses
    from the start. After that, SRGAN's generator and discriminator are trained in turn. `--task.adversarial 0` removes
    the discriminator; without a content file this is the paper's SRResNet.

    The content network is a file given by the user: torchvision's weights of vgg19 (its last convolution after the
    ReLU, the paper's VGG 5,4) or weights of the run's own encoder. Without a file, the last map of the discriminator is
    used instead. The file is read without unpickling code; its weights are frozen and part of the checkpoint.

    Shortcut: a crop that was itself enlarged has no detail, so bicubic interpolation is already right; and if the image
    is reduced without a low-pass filter, aliasing in the small image gives away the missing detail. Guard: crops cover
    at least S x S stored pixels if the stored image is that large, and the reduction is antialiased and rounded to 8
    bits.

    Differences from the paper: the encoder and its stages take the place of the 16 residual blocks; it sees the small
    image enlarged to S pixels, blurred but without block edges, so it becomes an encoder for images of that size.
    `--task.stages last` uses the deepest map only. The squared error of pixels is kept next to that of content, which
    replaces it in the paper. The discriminator is DCGAN's with 4 x 4 convolutions. Both players have the same learning
    rate. PSNR (at most 50 dB per image) and SSIM are computed on RGB instead of luma, and SSIM on held-out data only.
    """

    recipe = Recipe(optimizer="adamw", lr=1.6e-3, weight_decay=0.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        factor: Annotated[int, Range(least=2)] = 4
        """Factor by which each side of the small image is reduced."""
        adversarial: Annotated[float, Range(least=0)] = 1e-3
        """Weight of the adversarial loss; 0 trains without a discriminator."""
        alone: Annotated[float, Range(least=0, below=1)] = 0.8
        """Fraction of the steps, at the start, in which the generator is trained with the squared error of pixels
        alone."""
        content: str = ""
        """File with weights of torchvision's vgg19 or of the run's own encoder, for content features; empty \
uses the discriminator's features."""
        content_weight: Annotated[float, Range(least=0)] = 0.006
        """Weight of the squared error of content features; 0 leaves it out."""
        stages: Literal["all", "last"] = "all"
        """Encoder stages that the decoder uses: all, or only the last."""
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
        if size < 4 * config.factor:
            raise ValueError(
                f"task 'super_resolution' needs images of at least {4 * config.factor} x {4 * config.factor} pixels "
                f"to reduce them by {config.factor}, got {size} x {size}; lower --task.factor or raise --size"
            )
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = PixelShuffleDecoder(stage_shapes(encoder, size, config.stages), size, config.width)
        self.discriminator = Discriminator(size) if config.adversarial else None
        self.content = ContentNetwork(encoder, Path(config.content), size) if config.content else None
        self.first_steps = FirstSteps(config.alone)
        self.is_alone = False

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return players_of_game(self.config.adversarial)

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        """Bicubic interpolation."""
        return 0.0

    def turns(self, step: int) -> Sequence[str]:
        """The generator in the first steps, then both; both before the number of steps is known."""
        self.is_alone = bool(self.first_steps.has(step))
        return ("generator",) if self.is_alone and self.players() else tuple(self.players())

    def after_step(self, step: int, total: int) -> None:
        self.first_steps.after_step(total)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`; a crop is only ever reduced, where the image is large enough."""
        height, width = batch["image"].shape[-2:]
        unenlarged = self.size**2 / RATIO / (height * width)
        scale = (min(1.0, max(self.config.min_scale, unenlarged)), 1.0)
        return self.reduce(random_resized_crop(batch["image"], self.size, rng, scale=scale, ratio=(RATIO, 1 / RATIO)))

    def reduce(self, originals: Tensor) -> Example:
        """Images (N, 3, S, S) in [0, 1] -> `Example`, as if only the small images had been stored."""
        side = self.size // self.config.factor
        small = F.interpolate(originals, size=(side, side), mode="bicubic", antialias=True)
        small = small.clamp_(0, 1).mul_(255).round_().div_(255)
        enlarged = F.interpolate(small, size=(self.size, self.size), mode="bicubic", align_corners=False)
        return Example(normalise(enlarged.clamp_(0, 1)), small, originals)

    def forward(self, example: Example, player: str = "generator") -> Prediction:
        """Generated images, and features and logits of them."""
        if player == "discriminator":
            assert self.discriminator is not None
            with torch.no_grad():
                made = self._make(example.images)
            logits, real = self.discriminator(2 * made - 1), self.discriminator(2 * example.originals - 1)
            return Prediction(made, logits, real)
        made = self._make(example.images)
        if self.training and self.is_alone:
            return Prediction(made)
        logits, content = None, None
        if self.discriminator is not None:
            features = self.discriminator.forward_features(2 * made - 1)
            logits = self.discriminator.classify(features)
            if self.content is None and self.config.content_weight:
                with torch.no_grad():
                    content = features, self.discriminator.forward_features(2 * example.originals - 1)
        if self.content is not None and self.config.content_weight:
            with torch.no_grad():
                original = self.content(example.originals)
            content = self.content(made), original
        return Prediction(made, logits, content=content)

    def loss(self, prediction: Prediction, example: Example, player: str = "generator") -> dict[str, Tensor]:
        """The player's loss; for the generator also its gain over bicubic interpolation, in dB."""
        if player == "discriminator":
            assert prediction.real_logits is not None
            assert prediction.made_logits is not None
            loss, accuracy = discriminator_bce(prediction.real_logits, prediction.made_logits)
            return {"loss": loss, "discriminator_accuracy": accuracy}
        # Values in [-1, 1] differ by twice as much as in [0, 1].
        pixel = 4 * F.mse_loss(prediction.made.float(), example.originals)
        scalars = {"loss": pixel, "pixel": pixel.detach()}
        if prediction.content is not None:
            seen, wanted = prediction.content
            content = F.mse_loss(seen.float(), wanted.float())
            scalars["loss"] = scalars["loss"] + self.config.content_weight * content
            scalars["content"] = content.detach()
        if prediction.made_logits is not None:
            adversarial = generator_bce(prediction.made_logits)
            scalars["loss"] = scalars["loss"] + self.config.adversarial * adversarial
            scalars["adversarial"] = adversarial.detach()
        return scalars | self.fidelity(prediction.made, example)

    @torch.no_grad()
    def fidelity(self, made: Tensor, example: Example) -> dict[str, Tensor]:
        """PSNR (dB) and its gain over bicubic interpolation, means over images; SSIM of both on held-out data."""
        made, bicubic = made.float().clamp(0, 1), denormalise(example.images)
        reached = psnr(made, example.originals).clamp(max=BEST_PSNR)
        trivial = psnr(bicubic, example.originals).clamp(max=BEST_PSNR)
        found = {"psnr": reached.mean(), "psnr_gain": (reached - trivial).mean()}
        if not self.training:
            found["ssim"] = ssim(made, example.originals).mean()
            found["ssim_bicubic"] = ssim(bicubic, example.originals).mean()
        return found

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The small image, its bicubic enlargement, the original and the prediction."""
        bicubic, made = denormalise(example.images), prediction.made.detach().float().clamp(0, 1)
        return [
            Shown(inputs=[example.small[i], bicubic[i]], pseudo_label=example.originals[i], prediction=made[i])
            for i in range(min(count, len(made)))
        ]

    def _make(self, images: Tensor) -> Tensor:
        if self.config.stages == "all":
            maps = list(stage_maps(self.encoder, images).values())
        else:
            maps = [last_map(self.encoder, images)]
        residual: Tensor = self.head(maps)
        return denormalise(images) + residual.float()


class PixelShuffleDecoder(nn.Module):
    """Sub-pixel convolutions (Shi et al., CVPR 2016) that double the side until the image's is reached.

    Its sides are the image's, halved (and rounded up) as long as none is below the deepest map's. Every map enters
    by a 1 x 1 convolution at the lowest side that is not below its own.

    Maps (N, C, h, h), the deepest last -> (N, 3, side, side), almost zero with fresh weights.
    """

    def __init__(self, shapes: list[tuple[int, int]], side: int, width: int) -> None:
        super().__init__()
        sides = [side]
        while sides[-1] > 1 and -(-sides[-1] // 2) >= shapes[-1][1]:
            sides.append(-(-sides[-1] // 2))
        self.sides = sides[::-1]
        widths = [max(32, width >> i) for i in range(len(sides))]
        self.levels = [next((i for i, s in enumerate(self.sides) if s >= own), len(sides) - 1) for _, own in shapes]
        self.enter = nn.ModuleList(
            nn.Conv2d(channels, widths[level], 1) for (channels, _), level in zip(shapes, self.levels, strict=True)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(after))
            for before, after in itertools.pairwise(widths)
        )
        self.picture = nn.Conv2d(widths[-1], 3, 3, padding=1)
        nn.init.normal_(self.picture.weight, std=1e-3)
        assert self.picture.bias is not None
        nn.init.zeros_(self.picture.bias)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x: Tensor | None = None
        for level, side in enumerate(self.sides):
            if x is not None:
                x = self.ups[level - 1](x)[..., :side, :side]
            for own, enter, features in zip(self.levels, self.enter, maps, strict=True):
                if own == level:
                    entered = enter(features)
                    if entered.shape[-1] != side:
                        entered = F.interpolate(entered, size=(side, side), mode="bilinear", align_corners=False)
                    x = entered if x is None else x + entered
        residual: Tensor = self.picture(x)
        return residual


class ContentNetwork(nn.Module):
    """A network with weights from a file that never learns: images (N, 3, S, S) in [0, 1] -> its last map."""

    def __init__(self, encoder: Encoder, path: Path, size: int) -> None:
        super().__init__()
        try:
            content = read_content(path)
            names = {name: value for table in content.tables.values() for name, value in table.items()}
            # Only VGG-19 has its sixteenth convolution there.
            is_vgg19 = any(name.endswith("features.34.weight") and value.ndim == 4 for name, value in names.items())
            self.network = build_encoder("vgg19", size=size, stem="standard") if is_vgg19 else copy.deepcopy(encoder)
            take_weights(self.network, content)
        except ValueError as error:
            raise ValueError(f"--task.content: {error}; it takes torchvision's vgg19 or {encoder.name}") from None
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Always stay in evaluation mode: features of an image must not depend on the batch."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> Tensor:
        return last_map(self.network, normalise(pictures))


@torch.no_grad()
def stage_shapes(encoder: Encoder, size: int, stages: str) -> list[tuple[int, int]]:
    """Channels and side of every map that the decoder sees, for images of side `size`."""
    if stages == "last":
        return [map_shape(encoder, size)]
    mode = encoder.training
    device = next(encoder.parameters()).device
    maps = stage_maps(encoder.eval(), torch.zeros(1, 3, size, size, device=device))
    encoder.train(mode)
    return [(features.shape[1], features.shape[2]) for features in maps.values()]

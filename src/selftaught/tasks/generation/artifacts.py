"""Spotting artifacts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import colour_jitter, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.fidelity import psnr
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import running_statistics
from selftaught.tasks.parts.first_steps import FirstSteps
from selftaught.tasks.parts.losses import classification

MSE = 30.0
"""Weight of the squared error, values in [-1, 1], for autoencoder and repair (from the authors' code)."""


@dataclass
class Example:
    """Crops (N, 3, S, S) in [0, 1], and which entries of their code are kept (N, 1, m, m): 1 if kept, 0 if dropped."""

    images: Tensor
    kept: Tensor


@dataclass
class Prediction:
    """What a player's turn needs; all images (N, 3, S, S) in [-1, 1].

    intact: through the autoencoder. repaired: with entries dropped and repaired; not for the autoencoder.
    logits: (2 N, 2), intact and damaged, and places: (2 N, 1, m, m), above 0 for kept, of intact before repaired.
    """

    intact: Tensor
    repaired: Tensor | None = None
    logits: Tensor | None = None
    places: Tensor | None = None


class Artifacts(PretextTask):
    """Predict whether an image was damaged and repaired, and where (Jenni, Favaro, CVPR 2018).

    Link: https://arxiv.org/abs/1806.05024

    Flow: crop (N, 3, S, S) -> code of an autoencoder (N, C, m, m) -> decoder: the intact image; the same code, 70 %
    of its places replaced by the mean of their 3 x 3 neighbours -> decoder with repair layers: the damaged image;
    both (2 N, 3, S, S) -> encoder -> intact or damaged (2 N, 2), and which places were dropped (2 N, 1, m, m).

    To find the damage, the network must know what the intact image looks like. There are three players. The autoencoder
    is trained with 30 x squared error during the first part of the steps and then frozen. The repair layers are trained
    to fool the encoder, with 30 x squared error where nothing was dropped. The encoder is the discriminator and is
    trained with cross entropy + 0.1 x binary cross entropy of the dropped places. Repair layers and discriminator are
    both updated in every step.

    Shortcut: every decoder leaves traces, which would give the damaged images away. Guard: real examples pass through
    the same autoencoder, with its normalisation frozen; where nothing is dropped both are bit-identical, as the repair
    layers only change dropped places. Both halves share the batch statistics of the encoder.

    Differences from the paper: the classifier is linear on the pooled last map (a hidden layer on conv5 in the paper);
    the mask has the side of the code, whatever the encoder's last map is; the autoencoder is trained in the first part
    of the run (separately in the paper) and has half the paper's width by default. As the number of steps is not known
    during the first step, all three players are trained in it. Colour varies in brightness and saturation, as in the
    authors' code.
    """

    recipe = Recipe(optimizer="adamw", lr=6e-4, weight_decay=5e-5, betas=(0.5, 0.999), momentum=0.5, others={})

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        keep: Annotated[float, Range(above=0, below=1)] = 0.3
        """Probability that a place of the code is kept."""
        autoencoder_share: Annotated[float, Range(above=0, below=1)] = 0.2
        """Fraction of the steps, at the start, in which only the autoencoder is trained."""
        depth: Annotated[int, Range(least=0)] = 0
        """Number of times the autoencoder halves the resolution; 0 gives a code of about 6 x 6 places, as in the
        paper."""
        width: Annotated[int, Range(least=1)] = 16
        """Channels of the autoencoder at full resolution, doubled with every halving; 32 in the paper."""
        mask_weight: Annotated[float, Range(least=0)] = 0.1
        """Weight of the binary cross entropy of the dropped places."""
        jitter: Annotated[float, Range(least=0)] = 0.5
        """Strength of the changes of brightness (a quarter of it) and saturation."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.33
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        depth = config.depth or max(1, round(math.log2(size / 6)))
        if size >> depth < 2:
            raise ValueError(
                f"task 'artifacts' needs images of at least {2 << depth} x {2 << depth} pixels to halve them {depth} "
                f"times, got {size} x {size}; lower --task.depth or raise --size"
            )
        self.encoder = encoder
        self.config = config
        self.size = size
        self.autoencoder = AutoEncoder(size, depth, config.width)
        self.repair = nn.ModuleList(RepairLayer(channels) for channels in self.autoencoder.widths[::-1])
        channels, side = map_shape(encoder, size)
        self.head = SpottingHead(channels, side, size >> depth)
        self.first_steps = FirstSteps(config.autoencoder_share)

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "autoencoder": ("autoencoder",),
            "repair": ("repair",),
            "discriminator": ("encoder", "head"),
        }

    def chance(self, batch_size: int) -> float:
        return 0.5

    def turns(self, step: int) -> Sequence[str]:
        """First the autoencoder, then the other two; all three before the number of steps is known."""
        is_first = self.first_steps.has(step)
        if is_first is None:
            return ("autoencoder", "repair", "discriminator")
        return ("autoencoder",) if is_first else ("repair", "discriminator")

    def after_step(self, step: int, total: int) -> None:
        self.first_steps.after_step(total)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of crops and of the entries that will be kept."""
        crops = random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0))
        if self.config.jitter:
            s = self.config.jitter
            crops = colour_jitter(crops, rng, s / 4, 0.0, s, 0.0, jitter=1.0, grey=0.0)
        side = self.autoencoder.sides[-1]
        drawn = torch.rand(len(crops), 1, side, side, generator=rng, device=crops.device)
        return Example(crops.contiguous(memory_format=torch.channels_last), (drawn < self.config.keep).float())

    def forward(self, example: Example, player: str = "discriminator") -> Prediction:
        """Images; for repair and discriminator also the encoder's logits of both halves."""
        if player == "autoencoder":
            code = self.autoencoder.encode(2 * example.images - 1)
            return Prediction(self.autoencoder.decode(code).float().tanh())
        with running_statistics(self.autoencoder):
            with torch.no_grad():
                code = self.autoencoder.encode(2 * example.images - 1)
                intact = self.autoencoder.decode(code).float().tanh()
            with torch.set_grad_enabled(torch.is_grad_enabled() and player == "repair"):
                damaged = drop(code, example.kept)
                repaired = self.autoencoder.decode(damaged, self.repair, example.kept).float().tanh()
        # Both halves in one pass, whoever's turn it is, so that the encoder's batch statistics do not change with it.
        pictures = normalise((torch.cat([intact, repaired]) + 1) / 2)
        logits, places = self.head(last_map(self.encoder, pictures))
        return Prediction(intact, repaired, logits, places)

    def loss(self, prediction: Prediction, example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """The player's loss; for the discriminator also its accuracy on damaged and intact images."""
        if player == "autoencoder":
            error = F.mse_loss(prediction.intact, 2 * example.images - 1)
            return {"loss": MSE * error, "autoencoder_psnr": _mean_psnr(prediction.intact, example.images)}
        assert prediction.repaired is not None
        assert prediction.logits is not None
        assert prediction.places is not None
        n = len(example.images)
        logits, places = prediction.logits.float(), prediction.places.float()
        if player == "repair":
            area = F.interpolate(example.kept, size=(self.size, self.size), mode="nearest")
            squared = (prediction.repaired - (2 * example.images - 1)).square()
            error = (squared * area).sum() / (3 * area.sum()).clamp(min=1)
            fooling = classification(logits[n:], torch.zeros(n, dtype=torch.int64, device=logits.device))
            return {
                "loss": fooling["loss"] + MSE * error,
                "fooled": fooling["accuracy"],
                "repair_psnr": _mean_psnr(prediction.repaired, example.images, area),
            }
        is_damaged = torch.arange(2, device=logits.device).repeat_interleave(n)
        kept = torch.cat([torch.ones_like(example.kept), example.kept])
        where = F.binary_cross_entropy_with_logits(places, kept)
        scalars = classification(logits, is_damaged)
        right = (places[n:].detach() > 0) == (example.kept > 0)
        scalars |= {"places": where.detach(), "places_accuracy": right.float().mean()}
        return scalars | {"loss": scalars["loss"] + self.config.mask_weight * where}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """Alternating: a damaged image with its places, white where kept; an intact and a damaged image as text."""
        assert prediction.repaired is not None
        assert prediction.logits is not None
        assert prediction.places is not None
        n = len(example.images)
        pictures = (torch.cat([prediction.intact, prediction.repaired]).detach().float() + 1) / 2
        chosen = prediction.logits.detach().float().softmax(1)
        places = prediction.places.detach().float().sigmoid().expand(-1, 3, -1, -1)
        names = ("intact", "damaged")
        shown = []
        for i in range(min(count, n)):
            row = i if i % 3 == 1 else n + i
            if i % 3 == 0:
                label, guess = example.kept[i].expand(3, -1, -1), places[row]
                shown.append(Shown(inputs=[pictures[row]], pseudo_label=label, prediction=guess))
            else:
                words = f"{names[int(chosen[row].argmax())]} ({float(chosen[row].max()):.2f})"
                shown.append(Shown(inputs=[pictures[row]], pseudo_label=names[int(row >= n)], prediction=words))
        return shown


class AutoEncoder(nn.Module):
    """Images (N, 3, S, S) in [-1, 1] -> code (N, C, m, m) -> images before their tanh.

    Down by 2 x 2 convolutions of stride 2, up by bilinear enlargement and 3 x 3 convolutions; all batch-normalised,
    leaky ReLU of slope 0.1.

    Attributes:
        sides, widths: pixels and channels at every resolution, the full one first.
    """

    def __init__(self, size: int, depth: int, width: int) -> None:
        super().__init__()
        self.sides = [size >> i for i in range(depth + 1)]
        self.widths = [width << i for i in range(depth + 1)]
        self.down = nn.Sequential(_layer(3, width, 3), *(_layer(width << i, width << (i + 1), 2) for i in range(depth)))
        self.up = nn.ModuleList(_layer(width << (i + 1), width << i, 3) for i in reversed(range(depth)))
        self.picture = nn.Conv2d(width, 3, 3, padding=1)

    def encode(self, pictures: Tensor) -> Tensor:
        code: Tensor = self.down(pictures)
        return code

    def decode(self, code: Tensor, repair: nn.ModuleList | None = None, kept: Tensor | None = None) -> Tensor:
        """With repair layers, one before the first enlargement and one after each, where entries were not kept."""
        x = code
        for i, side in enumerate(self.sides[::-1]):
            if i > 0:
                x = self.up[i - 1](F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False))
            if repair is not None:
                assert kept is not None
                x = repair[i](x, F.interpolate(kept, size=(side, side), mode="nearest"))
        picture: Tensor = self.picture(x)
        return picture


class RepairLayer(nn.Module):
    """A residual of two 3 x 3 convolutions of features and mask, added only where entries were dropped."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(_layer(channels + 1, channels, 3), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        added: Tensor = self.residual(torch.cat([x, kept.to(x.dtype)], 1))
        return x + (1 - kept.to(x.dtype)) * added


class SpottingHead(nn.Module):
    """Last map (N, C, h, h) -> logits of intact and damaged (N, 2), and logits (N, 1, side, side) of kept places."""

    def __init__(self, channels: int, from_side: int, side: int) -> None:
        super().__init__()
        ratio = -(-side // from_side)
        self.side = side
        self.classifier = nn.Linear(channels, 2)
        self.places = nn.Sequential(nn.Conv2d(channels, ratio * ratio, 3, padding=1), nn.PixelShuffle(ratio))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        places = F.adaptive_avg_pool2d(self.places(features), self.side)
        return self.classifier(features.mean((2, 3))), places


def drop(code: Tensor, kept: Tensor) -> Tensor:
    """Places that are not kept become the mean of their 3 x 3 neighbourhood: code (N, C, m, m), kept (N, 1, m, m)."""
    mean = F.avg_pool2d(code, 3, stride=1, padding=1, count_include_pad=False)
    return torch.where(kept > 0, code, mean)


def _layer(channels: int, out: int, kernel: int) -> nn.Sequential:
    """A 3 x 3 convolution, or 2 x 2 with stride 2."""
    stride, padding = (2, 0) if kernel == 2 else (1, kernel // 2)
    conv = nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.1, inplace=True))


@torch.no_grad()
def _mean_psnr(pictures: Tensor, originals: Tensor, mask: Tensor | None = None) -> Tensor:
    """Images in [-1, 1], originals in [0, 1] -> dB, the mean over images."""
    return psnr((pictures + 1) / 2, originals, mask).mean()

"""Labels of rendered images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Given, Image, Input
from selftaught.data.second_source import SecondSource
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize, crop_resize_with_maps, random_boxes
from selftaught.ops.draw_maps import draw_maps
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import own_statistics
from selftaught.tasks.parts.hypercolumn import Hypercolumn, check_places, placed_stages, stage_shapes
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

CELL = 2
"""Pixels of an image, along each side, to one of its maps."""
FIRST_DEPTH = 3.0
"""Metres that the network begins with."""
CHANNELS = {"depth": 1, "normals": 3, "contours": 1}
PLAYERS: Mapping[str, tuple[str, ...]] = {"discriminator": ("discriminator",), "generator": ("encoder", "heads")}
AXES = ("normals_x", "normals_y", "normals_z")


@dataclass
class Example:
    """Rendered images (N, 3, S, S), real ones (R, 3, S, S), both normalised, and maps (N, ..., M, M) of the first.

    depth: metres, 0 where unknown; empty where the task does not predict it, as are the others.
    normals: (N, 3, M, M), unit vectors, 0 where unknown.
    contours: (N, M, M) 0 or 1.
    """

    images: Tensor
    real: Tensor
    depth: Tensor
    normals: Tensor
    contours: Tensor


@dataclass
class Prediction:
    """Logarithm of the depth (N, M, M), normals (N, 3, M, M) of any length, and logits of contours (N, M, M).

    Logits (N, h, w) of the discriminator, above 0 for real; those of real images for its own turn alone.
    """

    maps: dict[str, Tensor]
    made_logits: Tensor | None = None
    real_logits: Tensor | None = None


class SyntheticLabels(PretextTask):
    """Predict depth, surface normals and contours of rendered images (Ren and Lee, CVPR 2018).

    Link: https://arxiv.org/abs/1711.09082

    Flow: rendered image (N, 3, H, W) with its depth, normals and contours of instances -> the same random crop of all
    (N, 3, S, S), (N, M, M), M = S / 2, normals mirrored with the crop -> one channel of the image, drawn at random ->
    2-D encoder, which sees grey -> a head for each on all stages (N, M, M), (N, 3, M, M), (N, M, M). With
    `--task.real PHOTOS`: as many photos -> the same encoder -> features of one stage -> discriminator, real or
    rendered, at every place; encoder and discriminator learn in turn.

    Geometry and the borders of things are what a scene consists of. They are free where a program draws the images, and
    a network that reads them from a single image has to know shapes, materials and light. Such images are not photos:
    the discriminator keeps the encoder from using what tells them apart.

    Loss: the paper's weights, 5 x depth, (mean d^2 + (mean d)^2 / 2) / 2 with d the difference of the logarithms over
    the known pixels of an image; 10 x normals, 1 - cosine; 1 x contours, cross entropy with contours and background
    having half of the weight each; 0.05 x the discriminator's mistaking rendered images for real ones. A weight of 0
    leaves that label out of the data and the network, so each of the three can be learned alone.

    The metric is the gain, the mean over the labels of 1 - error / error of the trivial answer: one depth for the whole
    batch, the mean normal of the batch, and no knowledge of contours. Chance is 0.

    Shortcut: a renderer leaves traces that photos do not have, such as clean borders, even colours and an exact
    relation of light and normals. Guard: crops are resampled, the image is grey, of a channel drawn at random, and the
    alignment punishes features by which both kinds can be told apart; the data `world:textures=PHOTOS` have scenes
    covered with photos.

    Differences from the paper: scenes are those of `world` or of any data with such maps, instead of SUNCG and
    SceneNet; depth is logarithmic; heads read all stages instead of fc7; the discriminator sees the features of the
    step alone (the paper keeps a pool of 128), rendered and real images being normalised as one batch; contours and
    background have equal weight in each image.
    """

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("image", sees="grey")}
    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=5e-4, betas=(0.5, 0.999))

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        depth: Annotated[float, Range(least=0)] = 5.0
        """Weight of depth; 0 leaves it out."""
        normals: Annotated[float, Range(least=0)] = 10.0
        """Weight of surface normals; 0 leaves them out."""
        contours: Annotated[float, Range(least=0)] = 1.0
        """Weight of contours; 0 leaves them out."""
        real: str = ""
        """Folder or name of photos that features are aligned with, as pretrain reads them; none by default."""
        alignment: Annotated[float, Range(above=0)] = 0.05
        """Weight of the alignment, where there are real images."""
        stage: str = ""
        """Stage whose features are aligned (default: the last one; conv5 of AlexNet in the paper)."""
        grey: bool = True
        """Show the encoder grey images, as in the paper; false shows colour."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the image's area that a crop covers."""
        width: Annotated[int, Range(least=1)] = 64
        """Channels of each head."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not (self.depth or self.normals or self.contours):
                raise ValueError(
                    "one of --task.depth, --task.normals and --task.contours must be above 0, got 0 for all; raise one"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        check_places(encoder)
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(4, size // CELL)
        self.kinds = tuple(kind for kind in CHANNELS if getattr(config, kind))
        self.heads = nn.ModuleDict(
            {
                kind: Hypercolumn(encoder, size, out=CHANNELS[kind], side=self.side, width=config.width)
                for kind in self.kinds
            }
        )
        if "depth" in self.heads:
            nn.init.constant_(self.heads.get_parameter("depth.classify.2.bias"), math.log(FIRST_DEPTH))
        self.real = SecondSource(config.real, flag="--task.real", size=size) if config.real else None
        self.stage = ""
        self.discriminator: nn.Sequential | None = None
        if self.real is not None:
            shapes = stage_shapes(encoder, size)
            self.stage = config.stage or list(shapes)[-1]
            if self.stage not in shapes:
                raise ValueError(f"--task.stage must be one of {', '.join(shapes)}, got {self.stage!r}")
            self.discriminator = place_discriminator(shapes[self.stage][0])

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        every = {
            "image": Image(),
            "depth": Given("depth"),
            "normals": Given("normals"),
            "contours": Given("contours"),
        }
        return {name: one for name, one in every.items() if name == "image" or getattr(config, name)}

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """An encoder that sees colour where grey is not asked for."""
        return cls.encoders if config.grey else {"encoder": EncoderSpec("image")}

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return PLAYERS if self.discriminator is not None else {}

    def metric_name(self) -> str:
        return "gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8, depth (N, H, W), normals (N, 3, H, W), contours (N, H, W) -> `Example`."""
        pixels = batch["image"]
        n, _, height, width = pixels.shape
        boxes = random_boxes(n, height, width, rng, scale=(self.config.min_scale, 1.0), ratio=(1, 1))
        maps = {kind: batch[kind].float() for kind in self.kinds if kind == "depth"}
        if "normals" in self.kinds:
            maps |= dict(zip(AXES, batch["normals"].float().unbind(1), strict=True))
        # At the size of the maps and not of the image: the nearest pixel, as no mean of two depths or normals is one.
        _, cut = crop_resize_with_maps(pixels[:, :1], maps, boxes, self.side, modes=dict.fromkeys(maps, "mask"))
        images = self._seen(crop_resize(pixels, boxes, self.size), rng)
        real = images.new_zeros(0, *images.shape[1:])
        if self.real is not None:
            photos = self.real.draw(n, rng)
            across = photos.shape[-1]
            own = random_boxes(n, across, across, rng, scale=(self.config.min_scale, 1.0), ratio=(1, 1))
            real = self._seen(crop_resize(photos, own, self.size), rng)
        none = images.new_zeros(n, 0)
        normals = none
        if "normals" in self.kinds:
            normals = torch.stack([cut[axis] for axis in AXES], 1)
            normals[:, 0] *= boxes[:, 3].sign()[:, None, None]
        contours = none
        if "contours" in self.kinds:
            contours = (crop_resize(batch["contours"].float()[:, None], boxes, self.side)[:, 0] >= 0.4).float()
        return Example(images, real, cut.get("depth", none), normals, contours)

    def forward(self, example: Example, player: str = "generator") -> Prediction:
        """Maps of the rendered images and the discriminator's logits; in its turn logits of both."""
        # In one batch, so that both have the same statistics; apart, these would hide how their means differ.
        images = torch.cat([example.images, example.real]).contiguous(memory_format=torch.channels_last)
        n = len(example.images)
        if player == "discriminator":
            assert self.discriminator is not None
            with torch.no_grad(), own_statistics(self.encoder):
                features = placed_stages(self.encoder, images)[self.stage]
            logits = self.discriminator(features)
            return Prediction({}, logits[:n], logits[n:])
        stages = placed_stages(self.encoder, images)
        own = {name: features[:n] for name, features in stages.items()}
        maps = {kind: head(own) for kind, head in self.heads.items()}
        found = {kind: one if kind == "normals" else one[:, 0] for kind, one in maps.items()}
        if self.discriminator is None:
            return Prediction(found)
        return Prediction(found, self.discriminator(stages[self.stage])[:n])

    @torch.no_grad()
    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Maps at half the size of images (N, 3, H, W) of any size, normalised.

        Depth (N, H / 2, W / 2) up to a factor, unit normals (N, 3, H / 2, W / 2), probability of contours (N, H / 2,
        W / 2); those that the task predicts.
        """
        stages = placed_stages(self.encoder, images.contiguous(memory_format=torch.channels_last))
        grid = tuple(max(1, side // CELL) for side in images.shape[-2:])
        found = {kind: head(stages, grid).float() for kind, head in self.heads.items()}
        if "depth" in found:
            found["depth"] = found["depth"][:, 0].exp()
        if "normals" in found:
            found["normals"] = F.normalize(found["normals"], dim=1)
        if "contours" in found:
            found["contours"] = found["contours"][:, 0].sigmoid()
        return found

    def contours(self, images: Tensor) -> Tensor:
        """Probability (N, H / 2, W / 2) of a contour in images (N, 3, H, W) of any size, normalised."""
        return self.read(images)["contours"]

    def loss(self, prediction: Prediction, example: Example, player: str = "generator") -> dict[str, Tensor]:
        """The player's loss; for the generator also the errors of each map beside those of the trivial answer."""
        if player == "discriminator":
            assert prediction.made_logits is not None
            assert prediction.real_logits is not None
            loss, accuracy = discriminator_bce(prediction.real_logits, prediction.made_logits)
            return {"loss": loss / 2, "discriminator_accuracy": accuracy}
        total, gains = example.images.new_zeros(()), []
        scalars: dict[str, Tensor] = {}
        for kind in self.kinds:
            loss, gain, more = LOSSES[kind](prediction.maps[kind].float(), getattr(example, kind).float())
            total = total + getattr(self.config, kind) * loss
            gains.append(gain)
            scalars |= {f"loss_{kind}": loss.detach(), **more}
        if prediction.made_logits is not None:
            fooled = generator_bce(prediction.made_logits)
            total = total + self.config.alignment * fooled
            scalars["alignment"] = fooled.detach()
        return {"loss": total, "gain": torch.stack(gains).mean(), **scalars}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """An image, and its maps beside the predicted ones: depth (dark is near), normals as colours, contours."""
        shown = []
        for n in range(min(count, len(example.images))):
            pairs = [self._drawn(kind, getattr(example, kind)[n], prediction.maps[kind][n]) for kind in self.kinds]
            label, found = (lay_strip(torch.stack([pair[k] for pair in pairs])) for k in range(2))
            shown.append(
                Shown(inputs=[denormalise(example.images[n : n + 1])[0]], pseudo_label=label, prediction=found)
            )
        return shown

    def _seen(self, pixels: Tensor, rng: Generator) -> Tensor:
        """Images (N, 3, S, S) in [0, 1], normalised; of one channel each, drawn at random, where grey is asked for."""
        if self.config.grey:
            drawn = torch.randint(3, (len(pixels),), generator=rng, device=pixels.device)
            pixels = pixels[torch.arange(len(pixels), device=pixels.device), drawn][:, None].expand_as(pixels)
        return normalise(pixels)

    @staticmethod
    def _drawn(kind: str, label: Tensor, found: Tensor) -> list[Tensor]:
        """Label and prediction (3, M, M) in [0, 1]."""
        label, found = label.detach().float().cpu(), found.detach().float().cpu()
        if kind == "depth":
            known = torch.where(label > 0, label.clamp(min=1e-3).log(), torch.nan)
            return draw_maps([known, found], "depth")
        if kind == "normals":
            return [(F.normalize(one, dim=0) + 1) / 2 for one in (label, found)]
        return [one.expand(3, -1, -1) for one in (label, found.sigmoid())]


def place_discriminator(channels: int, width: int = 512) -> nn.Sequential:
    """Features (N, C, h, w) -> logits (N, h', w') at half the resolution, as the paper's code has for conv5."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, width, 1),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, 1, 1),
        nn.Flatten(0, 1),
    )


Loss = tuple[Tensor, Tensor, dict[str, Tensor]]
"""Loss, gain over the trivial answer, and errors to log."""


def depth_loss(found: Tensor, depth: Tensor) -> Loss:
    """Logarithm of the depth (N, M, M) against metres, 0 where unknown: (mean d^2 + (mean d)^2 / 2) / 2 an image."""
    known = (depth > 0).float()
    wanted = depth.clamp(min=1e-3).log()
    count = known.sum((1, 2)).clamp(min=1)
    d = (found - wanted) * known
    loss = ((d.square().sum((1, 2)) + 0.5 * d.sum((1, 2)).square() / count) / count / 2).mean()
    constant = (wanted * known).sum() / known.sum().clamp(min=1)
    missed, trivial = (one.detach().abs().sum() / known.sum().clamp(min=1) for one in (d, (constant - wanted) * known))
    return loss, _gain(missed, trivial), {"depth_error": missed, "depth_error_constant": trivial}


def normals_loss(found: Tensor, normals: Tensor) -> Loss:
    """Normals (N, 3, M, M) of any length against unit vectors, 0 where unknown: 1 - cosine; errors in degrees."""
    known = (normals.norm(dim=1) > 0.5).float()
    total = known.sum().clamp(min=1)
    wanted = F.normalize(normals, dim=1)
    cosine = (F.normalize(found, dim=1) * wanted).sum(1)
    mean = F.normalize((wanted * known[:, None]).sum((0, 2, 3)), dim=0)
    constant = torch.einsum("nchw,c->nhw", wanted, mean)
    angles = [(one.detach().clamp(-1, 1).arccos() * known).sum() / total * 180 / math.pi for one in (cosine, constant)]
    own = known.sum((1, 2)).clamp(min=1)
    loss = (((1 - cosine) * known).sum((1, 2)) / own).mean()
    return loss, _gain(*angles), {"normals_angle": angles[0], "normals_angle_mean": angles[1]}


def contours_loss(logits: Tensor, contours: Tensor) -> Loss:
    """Logits (N, M, M) against 0 and 1: cross entropy, half of it of contours and half of background in each image."""
    errors = F.binary_cross_entropy_with_logits(logits, contours, reduction="none")
    right = ((logits.detach() > 0).float() == contours).float()
    loss, accuracy = logits.new_zeros(()), logits.new_zeros(())
    for cells in (contours, 1 - contours):
        own = cells.sum((1, 2)).clamp(min=1)
        loss = loss + ((errors * cells).sum((1, 2)) / own).mean() / 2
        accuracy = accuracy + (right * cells).sum() / cells.sum().clamp(min=1) / 2
    return loss, _gain(1 - accuracy, accuracy.new_tensor(0.5)), {"contours_accuracy": accuracy}


LOSSES = {"depth": depth_loss, "normals": normals_loss, "contours": contours_loss}


def _gain(error: Tensor, trivial: Tensor) -> Tensor:
    return 1 - error / trivial.clamp(min=1e-6)

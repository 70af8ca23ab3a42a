"""Exemplars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import affine_colour, denormalise, normalise, to_grey
from selftaught.ops.colour_spaces import hsv_to_rgb, rgb_to_hsv
from selftaught.ops.warp import affine, shrink, warp
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.losses import nt_xent

_CELLS = 7
"""Of an image, along each side; a patch may be centred on all but the outermost."""
_TEMPERATURE = 0.1
"""Of the similarities of held-out views."""
_ORDERED = 2**18
"""Samples whose order is drawn at least; then it starts again."""


@dataclass
class Example:
    """Two views of N patches (2 N, 3, S, S) normalised, first views first; classes (2 N,) int64, -1 for none."""

    views: Tensor
    target: Tensor


@dataclass
class Prediction:
    """Embeddings (2 N, hidden) and scores of the classes (2 N, K)."""

    embeddings: Tensor
    logits: Tensor


class Exemplar(PretextTask):
    """Predict which patch a transformed view comes from (Dosovitskiy, Springenberg, Riedmiller, Brox, NIPS 2014).

    Link: https://arxiv.org/abs/1406.6909

    Flow: image (N, 3, H, W) -> its patch under two random transformations (2 N, 3, S, S) -> encoder (2 N, D) -> hidden
    layer (2 N, 512) -> linear (2 N, K) -> cross entropy, one class for each of K exemplars.

    An exemplar is one patch of one image. Before the first step, K samples are drawn, and a patch of each with a
    probability proportional to its squared image gradient, so that it has visible content; only these samples are used
    from then on. A view is the patch moved by up to 0.2 of its side, scaled by [0.7, 1.4] and rotated by up to 20
    degrees. Its pixels, as coordinates along the principal components of all pixels of the data, are multiplied by
    factors in [0.5, 2]; saturation and value are raised to powers in [0.25, 4], multiplied by [0.7, 1.4], and shifted
    by up to 0.1, and so is the hue.

    Held-out images are not exemplars, so the metric, also in training, is how often the most similar embedding in the
    batch is the other view of the same patch; chance is 1 / (2 N - 1). The held-out loss is the NT-Xent of these
    similarities, for patches drawn uniformly.

    Shortcut: an exemplar's colours alone would separate it from thousands of others, and so would its alignment to the
    pixel grid. Guard: the colour transformations above; every view is resampled at another position, scale and angle,
    and reflected beyond the edge of the image, so there is no border.

    Differences from the paper: a view is resampled to the encoder's size, and every sample has two new views per step
    instead of 150 views drawn once; the side of the patch is 0.4 to 0.7 of the image's instead of 32 of 96 pixels;
    factors and powers are as likely as their inverses; the hidden layer has batch normalisation, without which the
    features of all patches are too similar at the start to separate thousands of classes. With fewer than K samples the
    remaining classes stay empty. The optimiser is AdamW with a cosine schedule instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        exemplars: Annotated[int, Range(least=2)] = 4096
        """Largest number of exemplars; 8,000 to 32,000 in the paper."""
        patch: Annotated[tuple[float, float], Range(least=0.1, most=1)] = (0.4, 0.7)
        """Smallest and largest side of a patch, as fractions of the image's side."""
        translation: Annotated[float, Range(least=0, most=0.5)] = 0.2
        """Largest shift of a view, in sides of the patch."""
        scale: Annotated[tuple[float, float], Range(least=0.25, most=4)] = (0.7, 1.4)
        """Smallest and largest factor by which a view is scaled."""
        rotation: Annotated[float, Range(least=0, most=180)] = 20.0
        """Largest rotation of a view in degrees."""
        colour: Annotated[float, Range(least=0, most=2)] = 1.0
        """Strength of the colour transformations: 1 is the paper's, 0 leaves colours as they are."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Units of the hidden layer, whose output is the embedding."""
        dropout: Annotated[float, Range(least=0, most=0.9)] = 0.5
        """Dropout rate of the hidden units."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("patch", "scale"):
                pair = getattr(self, name)
                if len(pair) != 2 or pair[0] > pair[1]:
                    raise ValueError(f"--task.{name} must be two rising numbers, got {','.join(map(str, pair))}")

    index: Tensor
    place: Tensor
    components: Tensor
    mean_colour: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.hidden = nn.Sequential(
            nn.Linear(encoder.num_features, config.hidden, bias=False), nn.BatchNorm1d(config.hidden), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.hidden, config.exemplars))
        # Until `before_epoch` has seen the data: the first samples and the middle of each, and no favoured colours.
        middle = torch.tensor([0.0, 0.0, sum(config.patch) / 2])
        self.register_buffer("index", torch.arange(config.exemplars))
        self.register_buffer("place", middle.expand(config.exemplars, 3).clone())
        self.register_buffer("components", torch.eye(3))
        self.register_buffer("mean_colour", torch.full((3,), 0.5))

    def chance(self, batch_size: int) -> float:
        return 1 / (2 * batch_size - 1)

    def refresh_epochs(self) -> float:
        """Exemplars are chosen before the first step, and never again."""
        return math.inf

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Images (N, 3, H, W) uint8 -> mean colour, its second moments, squared gradients at 25 places (N, 37)."""
        pixels = batch["image"].float() / 255
        flat = pixels.flatten(2)
        with torch.autocast(pixels.device.type, enabled=False):  # small variances need more digits than bf16 has
            moments = flat @ flat.transpose(1, 2) / flat.shape[2]
        grey = to_grey(pixels)
        down, right = grey.diff(dim=2)[..., :-1], grey.diff(dim=3)[..., :-1, :]
        cells = F.adaptive_avg_pool2d(down.square() + right.square(), _CELLS)
        around = F.avg_pool2d(cells, 3, stride=1)
        return torch.cat([flat.mean(2), moments.flatten(1), around.flatten(1)], 1)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Choose the exemplars and their patches by gradient, and find the principal components of all pixels."""
        device = self.index.device
        mean, moments, energy = known.features.split([3, 9, known.features.shape[1] - 12], 1)
        centre = mean.mean(0)
        spread = moments.mean(0).view(3, 3) - centre[:, None] * centre
        self.components, self.mean_colour = torch.linalg.eigh(spread)[1].to(device), centre.to(device)
        energy = energy + 1e-8
        chosen = min(self.config.exemplars, len(known.index))
        rows = torch.multinomial(energy.amax(1), chosen, generator=rng).sort().values
        side = uniform((chosen,), *self.config.patch, rng)
        cell = torch.multinomial(energy[rows], 1, generator=rng)[:, 0]
        across = _CELLS - 2
        centres = torch.stack([cell % across, cell // across], 1) - (across - 1) / 2
        self.index = known.index[rows].to(device)
        self.place = _inside(centres * (2 / _CELLS), side).to(device)
        if chosen == len(known.index):
            return Refreshed(scalars={"exemplars": chosen})
        passes = -(-min(count, max(chosen, _ORDERED)) // chosen)
        order = torch.cat([known.index[rows][torch.randperm(chosen, generator=rng)] for _ in range(passes)])
        return Refreshed(order=order, scalars={"exemplars": chosen})

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of two views; an exemplar has its own patch, others a random one."""
        n = len(batch)
        target = self._classes(batch.index)
        drawn = _inside(uniform((n, 2), -1, 1, rng), uniform((n,), *self.config.patch, rng))
        place = torch.where(target[:, None] >= 0, self.place[target.clamp(min=0)], drawn)
        pictures = shrink(batch["image"], round(self.size / self.config.patch[0]))
        views = torch.cat([warp(pictures, self._transformations(place, rng), self.size) for _ in range(2)])
        if self.config.colour > 0:
            views = self._recoloured(views, rng)
        return Example(normalise(views), target.repeat(2))

    def forward(self, example: Example) -> Prediction:
        """Embeddings and scores of all views."""
        embeddings = self.hidden(self.encoder(example.views))
        return Prediction(embeddings, self.head(embeddings))

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the exemplars; NT-Xent where there are none, and the share of partners found."""
        first, second = prediction.embeddings.chunk(2)
        if not self.training:
            loss, accuracy = nt_xent(first, second, _TEMPERATURE)
            return {"loss": loss, "accuracy": accuracy}
        with torch.no_grad():
            accuracy = nt_xent(first, second, _TEMPERATURE)[1]
        logits = prediction.logits[:, : len(self.index)].float()
        right = (logits.detach().argmax(1) == example.target).float().mean()
        loss = F.cross_entropy(logits, example.target, ignore_index=-1)
        return {"loss": loss, "accuracy": accuracy, "exemplar_accuracy": right}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """A view, the other view of its patch, and the one found among all second views."""
        first, second = F.normalize(prediction.embeddings.float(), dim=1).chunk(2)
        found = (first @ second.T).argmax(1).tolist()
        pictures = denormalise(example.views)
        n = len(first)
        return [
            Shown(inputs=[pictures[i]], pseudo_label=pictures[n + i], prediction=pictures[n + found[i]])
            for i in range(min(count, n))
        ]

    def _classes(self, index: Tensor) -> Tensor:
        """Sample numbers (N,) -> classes (N,), -1 for samples that are not exemplars, such as all held-out ones."""
        if not self.training:
            return torch.full_like(index, -1)
        found = torch.searchsorted(self.index, index).clamp(max=len(self.index) - 1)
        return torch.where(self.index[found] == index, found, -1)

    def _transformations(self, place: Tensor, rng: Generator) -> Tensor:
        """Where views of the patches `place` (N, 3) are read: (N, 3, 3)."""
        config, n = self.config, len(place)
        angle = uniform((n,), -1, 1, rng) * math.radians(config.rotation)
        zoom = torch.exp(uniform((n,), math.log(config.scale[0]), math.log(config.scale[1]), rng))
        shift = uniform((n, 2), -2 * config.translation, 2 * config.translation, rng)
        still = torch.zeros_like(angle)
        patch = affine(still, place[:, 2], still, place[:, :2])
        return patch @ affine(angle, 1 / zoom, still, shift)

    def _recoloured(self, views: Tensor, rng: Generator) -> Tensor:
        """Contrast along the principal components, then powers, factors and shifts of hue, saturation and value."""
        n, strength = len(views), self.config.colour

        def factors(shape: tuple[int, ...], most: float) -> Tensor:
            return torch.exp(uniform(shape, -1, 1, rng) * strength * math.log(most))

        matrix = self.components @ torch.diag_embed(factors((n, 3), 2.0)) @ self.components.T
        offset = self.mean_colour - matrix @ self.mean_colour
        hue, rest = rgb_to_hsv(affine_colour(views, matrix, offset).clamp_(0, 1)).split([1, 2], 1)
        rest = rest.clamp(min=1e-4).pow(factors((n, 2, 1, 1), 4.0)) * factors((n, 2, 1, 1), 1.4)
        shift = uniform((n, 3, 1, 1), -0.1, 0.1, rng) * strength
        return hsv_to_rgb(torch.cat([hue + shift[:, :1], (rest + shift[:, 1:]).clamp_(0, 1)], 1))


def _inside(centre: Tensor, side: Tensor) -> Tensor:
    """Patches (N, 3): centres (N, 2) from -1 to 1, moved so that a patch of `side` (N,) is wholly in its image."""
    room = (1 - side)[:, None]
    return torch.cat([torch.maximum(torch.minimum(centre, room), -room), side[:, None]], 1)

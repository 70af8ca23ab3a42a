"""Autoencoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import Decoder

WIDTH = 256
"""Channels of the small map that the decoder starts from."""


@dataclass
class Example:
    """Input of the encoder and target of the decoder, (N, 3, S, S) normalised; the same tensor without noise."""

    images: Tensor
    clean: Tensor


class Autoencoder(PretextTask):
    """Reconstruct an image from a short code (Hinton, Salakhutdinov, Science 2006).

    Link: https://doi.org/10.1126/science.1127647; the denoising variant is Vincent et al., ICML 2008.

    Flow: image (N, 3, H, W) -> random crop (N, 3, S, S) -> noise, if asked for -> encoder, its last map (N, D, h, h)
    -> linear code (N, K) -> linear (N, 256, s, s) -> up-convolutions (N, 3, S, S) -> mean squared error with the crop.

    K numbers cannot represent every pixel, so the network must learn what images have in common. With noise or a mask
    it must also undo the corruption, which requires knowledge of image structure even if the code is long.

    Shortcut: a code as long as the image can copy it. Guard: only the code reaches the decoder, without skip
    connections, and a code of 3 x S x S numbers is an error if the input is not corrupted.

    Differences from the paper: a convolutional encoder trained end to end instead of stacked logistic layers, each
    pretrained as a restricted Boltzmann machine; squared error instead of cross entropy, as pixels are not binary;
    batch normalisation in the decoder. A mask removes whole pixels, not single colours, each with the same probability;
    Vincent et al. remove a fixed number.

    The metric is the gain in signal-to-noise ratio (dB) over predicting the image's mean colour. It is computed from
    the squared errors of the whole batch, as the ratio is unbounded for an image of a single colour.
    """

    any_channels = True
    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        code: Annotated[int, Range(least=1)] = 256
        """Length K of the code."""
        source: Literal["map", "pooled"] = "map"
        """Compute the code from the encoder's last map or from its pooled features."""
        noise: Annotated[float, Range(least=0)] = 0.0
        """Standard deviation of Gaussian noise added to the input, in units of the normalised pixels'."""
        mask: Annotated[float, Range(least=0, below=1)] = 0.0
        """Share of the input's pixels that are set to the mean colour."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        pixels = encoder.channels * size * size
        if config.code >= pixels and not (config.noise or config.mask):
            raise ValueError(
                f"task 'autoencoder' could copy {size} x {size} pixels through a code of {config.code} numbers; "
                f"lower --task.code below {pixels}, or set --task.noise or --task.mask"
            )
        self.encoder = encoder
        self.config = config
        self.size = size
        channels, side = map_shape(encoder, size)
        start = start_side(size)
        features = channels * side * side if config.source == "map" else encoder.num_features
        self.code = nn.Linear(features, config.code)
        self.start = nn.Sequential(
            nn.Linear(config.code, WIDTH * start * start), nn.Unflatten(1, (WIDTH, start, start))
        )
        self.decoder = Decoder(WIDTH, start, out=encoder.channels, side=size, width=WIDTH)

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`: crops, and the same crops damaged."""
        c = self.config
        clean = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(c.min_scale, 1.0)))
        images = clean
        if c.noise:
            images = images + c.noise * torch.randn(images.shape, generator=rng, device=images.device)
        if c.mask:
            kept = uniform((len(images), 1, self.size, self.size), 0, 1, rng) >= c.mask
            images = images * kept
        return Example(images.contiguous(memory_format=torch.channels_last), clean)

    def forward(self, example: Example) -> Tensor:
        """Images (N, 3, S, S), normalised."""
        pictures: Tensor = self.decode(self.encode(example.images))
        return pictures

    def encode(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, S, S) -> codes (N, K)."""
        is_map = self.config.source == "map"
        features = last_map(self.encoder, images).flatten(1) if is_map else self.encoder(images)
        codes: Tensor = self.code(features)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, K) -> normalised images (N, 3, S, S)."""
        pictures: Tensor = self.decoder(self.start(codes))
        return pictures

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Squared error of the normalised pixels, and the dB gained over the image's mean colour."""
        error = (prediction.float() - example.clean).square().mean()
        mean_colour = example.clean.mean((2, 3), keepdim=True)
        spread = (example.clean - mean_colour).square().mean()
        gain = 10 * (spread.clamp(min=1e-8) / error.detach().clamp(min=1e-8)).log10()
        return {"loss": error, "psnr_gain": gain}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The image as the encoder sees it, the clean image, and its reconstruction."""
        seen, clean, made = (denormalise(x.float()) for x in (example.images, example.clean, prediction))
        return [
            Shown(inputs=[seen[i]], pseudo_label=clean[i], prediction=made[i]) for i in range(min(count, len(clean)))
        ]


def start_side(size: int) -> int:
    """Side of at least 4 pixels that, doubled some times, is `size` or just above."""
    doublings = max(0, math.floor(math.log2(size / 4)))
    return math.ceil(size / (1 << doublings))

"""Colorization."""

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
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.colour_spaces import equal_lightness_grey, lab_to_rgb, rgb_to_lab
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.colour_bins import NUM_BINS, decode_ab, encode_ab, rebalancing_weights, soft_cross_entropy
from selftaught.tasks.parts.heads import Decoder
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages
from selftaught.tasks.parts.running_histogram import RunningHistogram


@dataclass
class Example:
    """Grey images and their colours at a quarter of the side, s = S // 4.

    Attributes:
        images: (N, 3, S, S) normalised, three equal channels: the lightness L alone.
        colours: (N, 2, s, s), a and b of Lab.
        bins: (N, 5, s, s) int64, the nearest of 313 bins, nearest first; weights: (N, 5, s, s), their weights.
        images: (N, 3, S, S) in [0, 1], the crops in colour, for previews.
    """

    images: Tensor
    colours: Tensor
    bins: Tensor
    weights: Tensor
    pictures: Tensor


class Colorization(PretextTask):
    """Predict the colour of every place of a grey image, as one of 313 classes (Zhang, Isola, Efros, ECCV 2016).

    Link: https://arxiv.org/abs/1603.08511

    Flow: image (N, 3, H, W) -> random crop (N, 3, S, S) -> lightness L as a grey image -> encoder, its last map ->
    up-convolutions -> logits (N, 313, s, s), s = S / 4 -> cross entropy with the place's (a, b), spread over its 5
    nearest bins, each place weighted by how rare its colour is (eq. 2).

    The colour of a place follows from what it is part of: sky, grass, skin. Classes allow "red or green" where a mean
    would be grey. Weights for rare colours, from the statistics of the data, prevent predictions that are grey-brown
    everywhere. Previews show the annealed mean, T = 0.38 (eq. 5).

    Shortcut: colour in the input. A grey image computed from luma still depends on colour, as luma is not a function of
    L. Guard: the network sees the grey image of equal lightness, a function of L alone, so two images that differ only
    in a and b give the same input. The kept encoder has the prefix `grey:`, so probes use the same input as
    pretraining.

    Differences from the paper: the colour statistics are running averages over the crops seen so far, not computed in
    advance; the label is the mean colour of 4 x 4 pixels, a and b rounded to whole units; the encoder keeps its strides
    and up-convolutions bring the map back, where the paper's network is dilated from stride 8 on; the learning rate
    falls by a cosine.

    The metric is the information about the colour: bits per place gained over the mean colour distribution under the
    same weights (0: no information). Accuracy would be high for predicting grey. The signal-to-noise ratio, logged as
    `psnr_gain`, also favours grey: the paper's own results are hardly better than grey by this metric, although they
    look far better.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-2, betas=(0.9, 0.99))
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("image", sees="grey")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        rebalance: Annotated[float, Range(least=0, below=1)] = 0.5
        """Rebalancing r of rare colours: weights are 1 / (r p + (1 - r) / 313); all colours are equal for r = 0."""
        temperature: Annotated[float, Range(above=0)] = 0.38
        """Temperature of the annealed mean: 1 is the mean colour, towards 0 the most likely bin."""
        hypercolumn: bool = False
        """Predict from all stages of the encoder (Larsson et al., CVPR 2017) instead of the last one only."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(1, size // 4)
        if config.hypercolumn:
            self.head: nn.Module = Hypercolumn(encoder, size, out=NUM_BINS, side=self.side)
        else:
            channels, side = map_shape(encoder, size)
            self.head = Decoder(channels, side, out=NUM_BINS, side=self.side, width=512)
        self.occurring = RunningHistogram(NUM_BINS)
        self.wanted = RunningHistogram(NUM_BINS)

    def metric_name(self) -> str:
        return "information"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`. In training the colours are added to the statistics."""
        pictures = random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0)).clamp_(0, 1)
        images = normalise(equal_lightness_grey(pictures).expand(-1, 3, -1, -1))
        colours = rgb_to_lab(F.adaptive_avg_pool2d(pictures, self.side))[:, 1:]
        bins, weights = encode_ab(colours)
        if self.training:
            self.occurring.add(bins[:, 0])
            self.wanted.add(bins, weights * self.balance()[bins[:, :1]])
        return Example(images, colours, bins, weights, pictures)

    def balance(self) -> Tensor:
        """Weight of a place by its nearest bin, (313,); all 1 where rare colours are not to count more."""
        if not self.config.rebalance:
            return torch.ones_like(self.occurring.share)
        return rebalancing_weights(self.occurring.share, mix=1 - self.config.rebalance)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, 313, s, s)."""
        if self.config.hypercolumn:
            logits: Tensor = self.head(placed_stages(self.encoder, example.images))
            return logits
        logits = self.head(last_map(self.encoder, example.images))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Weighted cross entropy; bits known; share of places whose likeliest bin is right; held out, dB over grey."""
        weight = self.balance()[example.bins[:, 0]]
        loss = (weight * soft_cross_entropy(prediction, example.bins, example.weights)).mean()
        with torch.no_grad():
            ignorant = (weight * (self.wanted.surprise()[example.bins] * example.weights).sum(1)).mean()
            scalars = {
                "loss": loss,
                "information": (ignorant - loss.detach()) / weight.mean() / math.log(2),
                "accuracy": (prediction.argmax(1) == example.bins[:, 0]).float().mean(),
            }
            if not self.training:  # a further pass over all logits
                error = (decode_ab(prediction, self.config.temperature) - example.colours).square().mean()
                spread = example.colours.square().mean()
                scalars["psnr_gain"] = 10 * (spread.clamp(min=1e-6) / error.clamp(min=1e-6)).log10()
        return scalars

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Grey, true colours, predicted colours at the image's own lightness."""
        pictures = example.pictures[:count].float()
        made = decode_ab(prediction[:count], self.config.temperature)
        made = F.interpolate(made, pictures.shape[2:], mode="bilinear", align_corners=False)
        coloured = lab_to_rgb(torch.cat([rgb_to_lab(pictures)[:, :1], made], 1))
        grey = denormalise(example.images[:count].float())
        return [Shown(inputs=[grey[i]], pseudo_label=pictures[i], prediction=coloured[i]) for i in range(len(pictures))]

"""Prediction of ambient sound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input, Sound
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalised_jitter
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.sound.texture import GROUPS, sound_texture
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.kmeans import fit_whitening, kmeans, nearest
from selftaught.tasks.parts.losses import weighted_accuracy, weighted_mean

LEAST_MEMBERS = 5
"""Fewer clusters than asked for are computed where they would have fewer samples than this on average."""


@dataclass
class Example:
    """Frames and the summaries of their sounds.

    Attributes:
        images: (N, 3, S, S) normalised.
        target: (N,) int64 clusters, or (N, B) float32 bits, 0 or 1.
        weight: (N,) float32, 0 where it is silent.
    """

    images: Tensor
    target: Tensor
    weight: Tensor


class AmbientSound(PretextTask):
    """Predict from a frame what the sound around it is like (Owens, Wu, McDermott, Freeman, Torralba, ECCV 2016).

    Link: https://arxiv.org/abs/1608.07017

    Flow: audio around a frame (N, S) -> 502 statistics of sound texture (`ops.sound.texture`), each group standardised
    and divided by the root of its size -> cluster (N,), the nearest of K centroids of k-means over the training
    samples; or code (N, B), the signs of the first B principal components. Frame (N, 3, H, W) -> crop (N, 3, S, S) ->
    encoder (N, D) -> linear (N, K) or (N, B) -> cross entropy with the cluster, or for each bit of the code. Clusters
    and components are computed once, before the first step.

    Waves, crowds and engines have sounds of their own, so that the network must find in the image what makes a sound,
    or the scenes in which it is heard.

    Held-out metric: "accuracy" of the cluster, or the mean over the bits; chance is the guess that is most often right
    on the training samples.

    Shortcut: a frame tells which recording it is from, so whatever else the statistics hold of the recording would be
    learned in place of what is heard: its level, and how long it is, as short audio is padded with zeros. Guard: every
    window is scaled to the same loudness, zeros at the ends take no part in the statistics, and silent audio does not
    count. What a microphone adds to all sounds of a recording remains.

    Differences from the paper: any image encoder instead of CaffeNet; audio at 16 kHz; the filters' exact shapes; the
    number of clusters falls where there would be fewer than 5 samples in each; AdamW.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        target: Literal["cluster", "binary"] = "cluster"
        """What is predicted of a sound, its cluster or its binary code."""
        clusters: Annotated[int, Range(least=2)] = 30
        """Number of clusters (K)."""
        bits: Annotated[int, Range(least=1)] = 30
        """Length of the binary code (B), at most."""
        seconds: Annotated[float, Range(least=0.5)] = 3.75
        """Length of the audio around the frame."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.4
        """Smallest share of the frame's area that a crop covers."""

    mean: Tensor
    """(502,) of the statistics over the training samples."""
    scale: Tensor
    """(502,), which multiplies the statistics less their mean."""
    points: Tensor
    """Centroids (K, 502), or directions of the bits (B, 502), of scaled statistics."""
    frequent: Tensor
    """() accuracy of the most frequent answers."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.clusters if config.target == "cluster" else config.bits)
        self.register_buffer("mean", torch.zeros(sum(GROUPS)))
        self.register_buffer("scale", torch.ones(sum(GROUPS)))
        # Its shape follows the data; see `before_epoch`.
        self.register_buffer("points", torch.zeros(0, sum(GROUPS)))
        self.register_buffer("frequent", torch.tensor(0.0))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        """One frame and the sound around it."""
        return {"image": Image(), "audio": Sound(seconds=config.seconds)}

    def chance(self, batch_size: int) -> float:
        return float(self.frequent)

    def refresh_epochs(self) -> float:
        return math.inf

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Statistics (N, 502) of the sounds."""
        return sound_texture(batch["audio"])

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Scale the statistics of all samples that are not silent, and find clusters or components."""
        loud = known.features[known.features.any(1)]
        if len(loud) < 2 or bool((loud == loud[0]).all()):
            raise ValueError(
                f"task 'ambient_sound' needs at least 2 training samples with different sounds, got {len(loud)} that "
                "are not silent"
            )
        groups = torch.cat([torch.full((size,), size**-0.5) for size in GROUPS])
        self.mean = loud.mean(0)
        self.scale = groups / loud.std(0, correction=0).clamp(min=1e-4)
        scaled = (loud - self.mean) * self.scale
        if self.config.target == "cluster":
            self.points, _ = kmeans(scaled, max(2, min(self.config.clusters, len(loud) // LEAST_MEMBERS)), rng)
        else:
            self.points = fit_whitening(scaled, self.config.bits)[1].T.contiguous()
        found = self._summary(scaled)
        if self.config.target == "cluster":
            shares = torch.bincount(found, minlength=len(self.points)) / len(found)
            self.frequent = shares.max()
        else:
            shares = found.mean(0)
            self.frequent = torch.maximum(shares, 1 - shares).mean()
        return Refreshed(scalars={"answers": float(len(self.points)), "frequent": float(self.frequent)})

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 3, H, W) uint8 and sound (N, S) -> `Example`."""
        crops = random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0))
        images = normalised_jitter(crops, rng, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, grey=0.0)
        statistics = sound_texture(batch["audio"])
        target = self._summary((statistics - self.mean) * self.scale)
        return Example(images, target, statistics.any(1).float())

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K) of the clusters there are, or (N, B) of the bits."""
        logits: Tensor = self.head(self.encoder(example.images))
        return logits[:, : len(self.points)]

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy and accuracy, means over the frames that are not silent and over the bits."""
        logits = prediction.float()
        if self.config.target == "cluster":
            each = F.cross_entropy(logits, example.target, reduction="none")
            right = (logits.detach().argmax(1) == example.target).float()
        else:
            each = F.binary_cross_entropy_with_logits(logits, example.target, reduction="none").mean(1)
            right = ((logits.detach() > 0) == (example.target > 0.5)).float().mean(1)
        return {
            "loss": weighted_mean(each, example.weight),
            "accuracy": weighted_accuracy(right, example.weight, self.frequent),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Each frame, the cluster or code of its sound, and the predicted one."""
        images, logits = denormalise(example.images), prediction.detach().float()
        shown = []
        for n in range(min(count, len(logits))):
            if self.config.target == "cluster":
                chosen = logits[n].softmax(0)
                truth = f"sound of cluster {int(example.target[n])}"
                found = f"cluster {int(chosen.argmax())} ({float(chosen.max()):.2f})"
            else:
                truth, found = _written(example.target[n] > 0.5), _written(logits[n] > 0)
            silent = "" if example.weight[n] else " (silent: left out)"
            shown.append(Shown(inputs=[images[n]], pseudo_label=truth + silent, prediction=found))
        return shown

    def _summary(self, scaled: Tensor) -> Tensor:
        """Clusters (N,) int64 or bits (N, B) float32 of scaled statistics (N, 502)."""
        if self.config.target == "cluster":
            return nearest(scaled, self.points)
        return (scaled @ self.points.T > 0).float()


def _written(bits: Tensor) -> str:
    return "".join("1" if bit else "0" for bit in bits.tolist())

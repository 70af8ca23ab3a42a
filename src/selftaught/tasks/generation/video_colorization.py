"""Video colorization by copying."""

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
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour_spaces import equal_lightness_grey, lab_to_rgb, rgb_to_lab
from selftaught.ops.frames import square_crops
from selftaught.ops.propagate import attention, copied
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder, short_clips
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages
from selftaught.tasks.parts.kmeans import kmeans, nearest

EMBEDDING = 64
"""Features of a place by which it is compared, as in the paper."""
SAMPLED = 8
"""Places along a side of each video's first frame whose colours are clustered."""
MOST_COLOURS = 200_000
"""Colours that are clustered at most."""
LEAST_SHARE = 1e-6
"""Share below which a colour that no reference has is not followed further."""


@dataclass
class Example:
    """Frames of N videos, the last of each the one to colour, and their colours at 1/8 of the side, s = S // 8.

    Attributes:
        grey: (N, R + 1, L, 3, S, S) in [0, 1], each frame as a clip of L, three equal channels: the lightness alone.
        pictures: (N, R + 1, 3, S, S) in [0, 1], the frames in colour.
        colours: (N, R + 1, 2, s, s), a and b of Lab.
        clusters: (N, R + 1, s, s) int64, the cluster of each colour.
    """

    grey: Tensor
    pictures: Tensor
    colours: Tensor
    clusters: Tensor


@dataclass
class Prediction:
    """Shares of the clusters (N, K, s, s), which sum to 1, and the mean copied colour (N, 2, s, s) of each place."""

    shares: Tensor
    colours: Tensor


class VideoColorization(PretextTask):
    """Colour a grey frame by copying colours from earlier frames of the video (Vondrick, Shrivastava, Fathi,
    Guadarrama, Murphy, ECCV 2018).

    Link: https://arxiv.org/abs/1806.09594

    Flow: video (N, T, 3, H, W) -> 3 reference frames and a target, one square crop for all (N, 4, 3, S, S) -> lightness
    alone -> 2-D encoder of each frame, at 1/8 of the side (4 N, 256, s, s) -> its place (x, y) appended -> five 3-D
    convolutions, 1 x 3 x 3 in space, dilated by 1, 2, 4, 8 and 16, and 3 x 1 x 1 in time -> embeddings f
    (N, 4, 64, s, s) -> A = softmax over all places i of the references of f_j . f_i -> the target's colour at j is the
    mean of the references' under A -> cross entropy with its cluster (eq. 2). Colours are 16 clusters of (a, b), found
    by k-means over the training data once and kept with the weights.

    A colour can be copied from the right place only by finding where it was, so the network learns to track. The same
    attention copies masks or key points from frame to frame, without training: see the probe `mask_propagation`, which
    uses the encoder's own features.

    The embedding is of the encoder's last stage where that has at least s x s places, as with `--stem small`, else of
    all its stages, added on that grid. `--task.temporal 0` compares features of single frames. With `--task.clip 4`, an
    encoder of clips sees each frame as a clip of the 4 frames that begin with it.

    Shortcut: colour in the input, and places that do not move: where nothing moves, copying from the same place is
    right. Guard: frames are grey images of equal lightness, a function of L alone, so clips that differ only in a and b
    give the same embeddings; the metric is the accuracy of the clusters minus that of copying from the same place of
    the last reference frame, so it is at most 0 on one repeated frame. Black bars, which copying colours correctly, are
    cut off. The kept encoder, of images or of clips, has the prefix `grey:`, so probes show it grey frames too.

    Differences from the paper: the encoder keeps its strides, and its stages are brought to 1/8; crops instead of whole
    frames squeezed to 256 x 256; dilation is at most s / 2, which leaves 1 and 2 for images of 32 pixels; k-means sees
    64 colours of each training video; the learning rate falls by a cosine (in the paper once, by a factor of ten).
    """

    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=1e-4)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("image", sees="grey")}

    centroids: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        references: Annotated[int, Range(least=1)] = 3
        """Frames from which colours are copied (R)."""
        stride: Annotated[int, Range(least=1)] = 4
        """Distance between frames, in frames of the video."""
        clip: Annotated[int, Range(least=1)] = 1
        """Frames of the short clip that stands for each frame; above 1, the task trains an encoder of clips."""
        clusters: Annotated[int, Range(least=2)] = 16
        """Clusters of colours (K)."""
        temporal: Annotated[int, Range(least=0)] = 5
        """Number of 3-D convolutions after the encoder, with dilations 1, 2, 4, ...; 0 compares features of single
        frames."""
        width: Annotated[int, Range(least=1)] = 256
        """Channels of the embedding before its last layer."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the crop, as a share of the short side between black bars."""

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """Of clips where a short clip stands for each frame."""
        return {"encoder": EncoderSpec("video", sees="grey")} if config.clip > 1 else cls.encoders

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        if config.clip == 1:
            return {"video": Clip(frames=config.references + 1, stride=config.stride)}
        return {"video": Clip(frames=config.references * config.stride + config.clip)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip)

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(1, size // 8)
        self.head = Embedding(encoder, config, size, self.side)
        self.register_buffer("centroids", torch.zeros(config.clusters, 2))

    def metric_name(self) -> str:
        return "accuracy_gain"

    def chance(self, batch_size: int) -> float:
        """The colour of the same place in the last reference frame."""
        return 0.0

    def refresh_epochs(self) -> float:
        """Colours are clustered once, before the first step."""
        return math.inf

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Colours (N, 2 x 64) of places of each video's first frame."""
        pixels = batch["video"][:, 0].float() / 255
        colours = rgb_to_lab(F.adaptive_avg_pool2d(pixels, SAMPLED))[:, 1:]
        return colours.flatten(2).transpose(1, 2).flatten(1)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Cluster the colours of all training videos."""
        colours = known.features.view(-1, 2)
        if float(colours.std(0).max()) < 0.1:
            raise ValueError(
                "task 'video_colorization' needs videos in colour, but those that were read are grey; give other data, "
                "or choose another --task"
            )
        chosen = torch.randperm(len(colours), generator=rng)[:MOST_COLOURS]
        centroids, labels = kmeans(colours[chosen], self.config.clusters, rng, restarts=3)
        self.centroids = centroids
        share = torch.bincount(labels, minlength=len(centroids)).max() / len(labels)
        return Refreshed(scalars={"largest_cluster": float(share)})

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 -> `Example`."""
        c, video = self.config, batch["video"]
        if c.clip > 1:
            numbers = torch.arange(c.references + 1, device=video.device) * c.stride
            video = short_clips(video, numbers.expand(len(video), -1), c.clip).flatten(1, 2)
        frames = square_crops(video, self.size, rng, least_side=c.least_side)
        grey = equal_lightness_grey(frames).expand_as(frames).unflatten(1, (-1, c.clip))
        pictures = frames.unflatten(1, (-1, c.clip))[:, :, 0]
        small = F.adaptive_avg_pool2d(pictures.flatten(0, 1), self.side)
        colours = rgb_to_lab(small)[:, 1:].unflatten(0, pictures.shape[:2])
        clusters = nearest(colours.movedim(2, 4).reshape(-1, 2), self.centroids)
        return Example(grey, pictures, colours, clusters.view(*colours.shape[:2], self.side, self.side))

    def forward(self, example: Example) -> Prediction:
        """Clusters and colours of the target, copied from the references."""
        features = self.head(self.encoder, example.grey)
        shares = attention(features[:, -1], features[:, :-1])
        clusters = F.one_hot(example.clusters[:, :-1], self.config.clusters).movedim(4, 2)
        values = torch.cat([clusters.to(example.colours.dtype), example.colours[:, :-1]], 2)
        found = copied(shares, values)
        return Prediction(found[:, : self.config.clusters], found[:, self.config.clusters :])

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """Cross entropy with the clusters; their accuracy, and its gain over copying from the same place."""
        target = example.clusters[:, -1]
        share = prediction.shares.gather(1, target[:, None])
        accuracy = (prediction.shares.argmax(1) == target).float().mean()
        copying = (example.clusters[:, -2] == target).float().mean()
        return {
            "loss": -share.clamp(min=LEAST_SHARE).log().mean(),
            "accuracy": accuracy,
            "accuracy_gain": accuracy - copying,
        }

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The references, the grey target, the target, and its lightness in the copied colours."""
        rows = range(min(count, len(example.pictures)))
        target = example.pictures[:count, -1].float()
        ab = F.interpolate(prediction.colours[:count], target.shape[2:], mode="bilinear", align_corners=False)
        coloured = lab_to_rgb(torch.cat([rgb_to_lab(target)[:, :1], ab], 1))
        return [
            Shown(
                inputs=[example.pictures[i, :-1], example.grey[i, -1, 0]],
                pseudo_label=target[i],
                prediction=coloured[i],
            )
            for i in rows
        ]


class Embedding(nn.Module):
    """Features by which places of frames are compared: (N, F, L, 3, S, S) grey in [0, 1] -> (N, F, 64, s, s)."""

    def __init__(self, encoder: Encoder, config: VideoColorization.Config, size: int, side: int) -> None:
        super().__init__()
        frames, width = (config.clip if config.clip > 1 else 0), config.width
        self.column = Hypercolumn(
            encoder, size, out=width, side=side, width=width, frames=frames, steps=1, fine_enough=True
        )
        line = (torch.arange(side) + 0.5) * (2 / side) - 1
        self.register_buffer("places", torch.stack(torch.meshgrid(line, line, indexing="ij")), persistent=False)
        layers: list[nn.Module] = []
        for layer in range(config.temporal):
            # A tap that meets nothing but padding would learn nothing.
            dilation = min(2**layer, max(1, side // 2))
            layers += [
                nn.Conv3d(width if layer else width + 2, width, (1, 3, 3), padding=(0, dilation, dilation),
                          dilation=(1, dilation, dilation), bias=False),
                nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(inplace=True),
            ]  # fmt: skip
        self.over_time = nn.Sequential(*layers)
        self.last = nn.Conv3d(width if layers else width + 2, EMBEDDING, 1)

    def forward(self, encoder: Encoder, grey: Tensor) -> Tensor:
        n, frames = grey.shape[:2]
        maps = self.column(placed_stages(encoder, for_encoder(grey)))
        maps = (maps[:, :, 0] if maps.ndim == 5 else maps).unflatten(0, (n, frames)).transpose(1, 2)
        places: Tensor = self.places  # type: ignore[assignment]
        placed = places[:, None].expand(n, -1, frames, -1, -1).to(maps.dtype)
        embedded: Tensor = self.last(self.over_time(torch.cat([maps, placed], 1))).transpose(1, 2)
        return embedded

"""Relative depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.clips.windows import degraded_crop
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize, random_boxes
from selftaught.ops.depth.ranks import mean_ranks
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import Decoder

CELL = 4
"""Pixels of an image, along each side, to one of the depth map."""


@dataclass
class Example:
    """Frames (N, 3, S, S) normalised, and percentiles of depth (N, M, M) in [0, 1], -1 where unknown.

    `counts` (N,) bool says which frames the loss is of. Each of the `pairs` (N, P, 2) int64 holds numbers of two cells,
    row by row, and `relation` (N, P) is 1 where the first is farther, -1 where it is nearer, 0 where both are about as
    far.
    """

    images: Tensor
    percentile: Tensor
    counts: Tensor
    pairs: Tensor
    relation: Tensor


class RelativeDepth(PretextTask):
    """Predict from a single frame which parts of it are nearer than others (Jiang, Larsson, Maire, Shakhnarovich,
    Learned-Miller, ECCV 2018).

    Link: https://arxiv.org/abs/1712.04850

    Flow: frame of a video (N, 1, 3, H, W) and percentiles of its depth (N, 1, 1, H, W), computed once from the optical
    flow after the turn of the camera is removed -> random crop of both (N, 3, S, S), (N, M, M), M = S / 4, percentiles
    taken anew among the cells of the crop -> 2-D encoder (N, C, h, w) -> decoder -> with `loss` bins: logits of K bins
    of percentiles (N, K, M, M), cross entropy per cell; with pairs: one value z (N, M, M), and for random pairs of
    cells log(1 + exp(-r (z_i - z_j))) where one is farther (r = 1 or -1), (z_i - z_j)^2 where they are about as far
    (Chen, Fu, Yang, Deng, NeurIPS 2016).

    As a camera goes through the world, near things move faster across the frame than far ones. A single frame does not
    show motion: the network must know how large things are, what stands in front of what, and how grounds recede.

    The metric is the accuracy of the order of pairs of cells that differ by more than `same`: the mean of that on pairs
    in which the lower cell is nearer, and on those in which it is farther. Chance is 0.5. `order_accuracy` is that on
    all pairs, and `order_accuracy_lower` what "lower in the image is nearer" reaches there.

    Shortcut: what is lower in a frame is usually nearer, so the position gives the depth away; and a codec or motion
    blur leaves near things, which move fast, less sharp. Guard: in the metric, the position alone is right in half
    of the pairs at most, and crops are taken anywhere; each crop has its own blur and noise (`ops.clips.windows`). The
    position still lowers the loss: compare `order_accuracy` with `order_accuracy_lower`.

    A frame is left out if less than `least_known` of its crop has a depth, such as those of a camera that stands still
    or only turns. Intrinsics are not read: give the horizontal field of view as `fov`; an error of it changes depths
    little where a camera turns little from frame to frame.

    Differences from the paper: flow is that of DIS, and the motion of the camera comes from least squares over
    directions (`data/computed/camera_motion.py`); bins of percentiles of the crop, not of the frame; a decoder of
    up-convolutions on any encoder; AdamW; blur and noise, and pairs as an option, are additions.
    """

    recipe = Recipe(optimizer="adamw", lr=8e-3, weight_decay=1e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        loss: Literal["bins", "pairs"] = "bins"
        """Classification over bins of percentiles, or the order of pairs."""
        bins: Annotated[int, Range(least=2, most=250)] = 10
        """Bins of percentiles (K)."""
        pairs: Annotated[int, Range(least=1)] = 500
        """Pairs of cells of a frame (P)."""
        same: Annotated[float, Range(least=0, below=1)] = 0.1
        """Difference of percentiles up to which two cells are about as far."""
        least_known: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the crop with a depth for the frame to be used."""
        fov: Annotated[float, Range(above=0, below=180)] = 60.0
        """Horizontal field of view of the camera in degrees."""
        reach: Annotated[int, Range(least=1, most=63)] = 8
        """Largest distance of the frames between which flow is computed, in frames of the video."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the frame's area that a crop covers."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise, which hide traces of motion in the frame; 0 for none."""
        width: Annotated[int, Range(least=1)] = 128
        """Channels of the decoder at its lowest resolution; they halve with every doubling, down to 32."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(2, size // CELL)
        channels, start = map_shape(encoder, size)
        out = config.bins if config.loss == "bins" else 1
        self.decoder = Decoder(channels, start, out=out, side=self.side, width=config.width)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        settings = {"fov": config.fov, "reach": config.reach}
        return {"frame": Clip(frames=1), "depth": Computed("relative_depth", like="frame", settings=settings)}

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 1, 3, H, W) and percentiles (N, 1, 1, H, W), both uint8, 0 where unknown -> `Example`."""
        frames, depth = batch["frame"], batch["depth"][:, 0]
        n, (height, width) = len(frames), frames.shape[-2:]
        boxes = random_boxes(n, height, width, rng, scale=(self.config.min_scale, 1.0), ratio=(1, 1))
        images = normalise(degraded_crop(frames, boxes, self.size, rng, strength=self.config.degrade)[:, 0])
        share = crop_resize((depth > 0).float(), boxes, self.side)
        known = (share >= 0.5).flatten(1)
        values = (crop_resize(depth.float(), boxes, self.side) / share.clamp(min=1e-6)).flatten(1)
        count = known.sum(1, keepdim=True)
        percentile = torch.where(known, mean_ranks(values, known) / (count - 1).clamp(min=1), -1.0)
        counts = count[:, 0] >= max(2.0, self.config.least_known * self.side**2)
        pairs = self._pairs(known, rng)
        apart = percentile.gather(1, pairs[..., 0]) - percentile.gather(1, pairs[..., 1])
        relation = torch.where(apart.abs() > self.config.same, apart.sign(), 0.0)
        return Example(images, percentile.view(n, self.side, self.side), counts, pairs, relation)

    def _pairs(self, known: Tensor, rng: Generator) -> Tensor:
        """Numbers (N, P, 2) of random known ones among cells (N, M M)."""
        places = known.float().argsort(dim=1, descending=True, stable=True)
        drawn = torch.rand((len(known), 2 * self.config.pairs), generator=rng, device=known.device)
        numbers = torch.minimum((drawn * known.sum(1, keepdim=True)).long(), (known.sum(1, keepdim=True) - 1).clamp(0))
        return places.gather(1, numbers).view(len(known), self.config.pairs, 2)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K, M, M) of bins, or values (N, 1, M, M) of which a larger one is farther."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        found: Tensor = self.decoder(last_map(self.encoder, images))
        return found

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """A mean over all N frames, to which those that do not count add 0; accuracies over the pairs of the rest."""
        prediction = prediction.float()
        depth = self.depth(prediction)
        first, second = (depth.flatten(1).gather(1, one) for one in example.pairs.unbind(2))
        if self.config.loss == "bins":
            known = example.percentile >= 0
            bins = (example.percentile.clamp(min=0) * self.config.bins).long().clamp(max=self.config.bins - 1)
            errors = F.cross_entropy(prediction, bins, reduction="none") * known
            each = errors.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
        else:
            apart = first - second
            each = torch.where(example.relation == 0, apart.square(), F.softplus(-example.relation * apart)).mean(1)
        return {"loss": (each * example.counts).mean(), **self._order(first - second, example)}

    @torch.no_grad()
    def _order(self, apart: Tensor, example: Example) -> dict[str, Tensor]:
        """Accuracies of the order of pairs that differ by `apart` (N, P)."""
        counts = (example.relation != 0) & example.counts[:, None]
        right = torch.where(apart == 0, 0.5, (apart.sign() == example.relation).float())
        rows = example.pairs // self.side
        lower = (rows[..., 1] - rows[..., 0]).sign() * example.relation  # 1 where the lower cell is nearer, 0 if beside
        halves = [_mean(right, counts & (lower == sign)) for sign in (1, -1)]
        return {
            "accuracy": (halves[0] + halves[1]) / 2,
            "order_accuracy": _mean(right, counts),
            "order_accuracy_lower": _mean((lower + 1) / 2, counts),
            "frames_used": example.counts.float().mean(),
        }

    def depth(self, prediction: Tensor) -> Tensor:
        """What `forward` returns -> (N, M, M), of which a larger one is farther: the mean percentile, or the value."""
        if self.config.loss == "pairs":
            return prediction[:, 0]
        middles = (torch.arange(self.config.bins, device=prediction.device) + 0.5) / self.config.bins
        return (prediction.float().softmax(1) * middles[:, None, None]).sum(1)

    def predict_maps(self, images: Tensor) -> Mapping[str, Tensor]:
        """Depth by its order alone, as mean percentiles, or by the exponential of the values of pairs."""
        found = self.depth(self.decoder(last_map(self.encoder, images)).float())
        return {"depth": found.exp() if self.config.loss == "pairs" else found}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A frame, the percentiles of its depth and the predicted ones, the nearest dark; unknown ones are black."""
        found = self.depth(prediction.detach().float()).flatten(1)
        ranks = mean_ranks(found, torch.ones_like(found, dtype=torch.bool)) / (found.shape[1] - 1)
        known = example.percentile.masked_fill(example.percentile < 0, torch.nan)
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=Map(values=known[n], kind="depth"),
                prediction=Map(values=ranks[n].view(self.side, self.side), kind="depth"),
            )
            for n in range(min(count, len(found)))
        ]


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of the values that count; 0.5 where none does."""
    total = counts.sum()
    return torch.where(total > 0, (values * counts).sum() / total.clamp(min=1), 0.5)

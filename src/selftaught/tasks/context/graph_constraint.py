"""Graph constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import centre_view, random_resized_crop
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.gradient_histograms import gradient_histograms
from selftaught.tasks.parts.graph import cycle_pairs, geodesic_distances, nearest_neighbours, same_class
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import classification

LANDMARKS = 500
"""Images of one graph from which geodesic distances are measured; each image is near to one of them."""
TRIES = 30
"""Images that are drawn for each positive pair until one is far away."""
DESCRIBED = 64
"""Side of the images whose gradients are described, pixels."""


@dataclass
class Example:
    """Views (V, 3, S, S) normalised, which two of them make each pair (P,) int64, and 1 for the same, else 0 (P,)."""

    views: Tensor
    first: Tensor
    second: Tensor
    same: Tensor


class GraphConstraint(PretextTask):
    """Predict whether two images belong together in a graph of nearest neighbours (Li et al., ECCV 2016).

    Link: https://doi.org/10.1007/978-3-319-46493-0_41

    Flow: every `every` epochs, a descriptor of each of M images -> the k nearest neighbours of each, edges of a
    directed graph -> pairs of images. Pairs on a cycle of 2 to `cycle` edges belong together; pairs that are far from
    each other along the edges do not. Every step, neighbouring rows of a batch are a pair: images (N, 3, H, W) ->
    random crops (N, 3, S, S) -> encoder (N, D) -> both of a pair (N / 2, 2 D) -> linear, ReLU, linear (N / 2, 2) ->
    cross entropy.

    Nearest neighbours look alike. Images on a cycle of neighbours are of the same kind but may look quite different, so
    the network learns more than the descriptor contains.

    The descriptor is a histogram of gradients or, with `--task.descriptor features`, the encoder's own features, which
    carry little information at the start and are computed again for every graph. Pairs start from each image on a cycle
    in turn. refresh.csv has the number of pairs on cycles per image, the fraction of all images that are part of a
    training pair, and the fraction of positive and of negative pairs whose images have the same label; none of this is
    used for training.

    Held-out images have no graph: the metric is how often the head separates two crops of one image from crops of two
    images.

    Shortcut: an image on no cycle would only be part of negative pairs, and one with many neighbours mostly of positive
    pairs, so one image of a pair would give away the answer. Guard: each positive pair (a, b) has a negative one (a,
    b') with b' from another positive pair, so an image is about as often part of one kind as of the other. Histograms
    of gradients do not depend on colour, so equal colour does not form pairs; both crops are drawn independently.

    Differences from the paper: the paper's descriptor is a Fisher vector of SIFT features, here it is a histogram of
    gradients in a 4 x 4 grid, or learned features; distances are measured from 500 images of a graph, with edges in
    both directions: an image is far from another if it is in the farther half (`far`) of all images as seen from the
    nearest of these 500 (from the other image itself in graphs of up to 500 images); there are as many positive as
    negative pairs; a graph has at most 10,000 images, and larger data are divided at random. The learning rate falls by
    a cosine.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        descriptor: Literal["gradients", "features"] = "gradients"
        """Descriptor used to find neighbours: histograms of gradients, or the encoder's current features."""
        neighbours: Annotated[int, Range(least=1)] = 10
        """Number of neighbours k per image, at most a quarter of the images."""
        cycle: Literal[2, 3, 4] = 4
        """Largest number of edges of a cycle whose images belong together."""
        far: Annotated[float, Range(above=0, below=1)] = 0.5
        """Fraction of images, the farthest along the edges, that may be negatives of an image."""
        part: Annotated[int, Range(least=10)] = 10_000
        """Largest number of images per graph."""
        every: Annotated[float, Range(above=0)] = 5.0
        """Epochs from one graph to the next."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the head."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    positives: Tensor
    """Codes (P,) int64 of the pairs that belong together, ascending; see `_codes`."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = projection_head(2 * encoder.num_features, config.hidden, 2)
        self.register_buffer("positives", torch.zeros(0, dtype=torch.int64))

    def chance(self, batch_size: int) -> float:
        return 0.5

    def refresh_epochs(self) -> float:
        return self.config.every

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """What the graph compares of images (N, 3, H, W) uint8: histograms of gradients, or pooled features."""
        if self.config.descriptor == "gradients":
            return gradient_histograms(centre_view(batch["image"], DESCRIBED))
        return super().embed(batch)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Mine pairs in graphs of all samples, and read them: the two samples of a pair one after the other."""
        shuffled = torch.randperm(len(known.index), generator=rng)
        parts = shuffled.tensor_split(-(-len(shuffled) // self.config.part))
        mined = [mine(known.features[rows], -(-count // (4 * len(parts))), self.config, rng) for rows in parts]
        positive = torch.cat([rows[pairs.positive] for rows, pairs in zip(parts, mined, strict=True)])
        negative = torch.cat([rows[pairs.negative] for rows, pairs in zip(parts, mined, strict=True)])
        self.positives = _codes(known.index[positive[:, 0]], known.index[positive[:, 1]]).unique()
        if not len(positive):
            raise ValueError(
                f"task 'graph_constraint' found no two of {len(known.index)} images that are far from each other; "
                "it needs more images, or fewer --task.neighbours"
            )
        pairs = torch.cat([positive, negative])
        pairs = pairs[torch.randperm(len(pairs), generator=rng)[: count // 2]]
        scalars = {
            "cycle_pairs_per_image": sum(m.found for m in mined) / len(known.index),
            "images_in_pairs": len(pairs.unique()) / len(known.index),
        }
        if known.labels is not None:
            scalars["positives_of_one_class"] = same_class(positive, known.labels)
            scalars["negatives_of_one_class"] = same_class(negative, known.labels)
        return Refreshed(order=known.index[pairs.flatten()], scalars=scalars)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`: N / 2 pairs of neighbouring rows; on held-out data 2 N - 1 or so."""
        scale = (self.config.min_scale, 1.0)
        views = normalise(random_resized_crop(batch["image"], self.size, rng, scale=scale))
        n, device = len(batch), batch["image"].device
        if self.training:
            if n % 2:
                raise ValueError(
                    f"task 'graph_constraint' reads pairs, but a device got {n} samples of a batch; "
                    "give a --batch-size that is a multiple of 2 x devices x --accumulate"
                )
            rows = torch.arange(0, n, 2, device=device)
            codes = _codes(batch.index[0::2], batch.index[1::2])
            return Example(views, rows, rows + 1, torch.isin(codes, self.positives).long())
        others = normalise(random_resized_crop(batch["image"], self.size, rng, scale=scale))
        rows = torch.arange(n, device=device)
        first, second = torch.cat([rows, rows]), torch.cat([rows, (rows + 1) % n]) + n
        views = torch.cat([views, others]).contiguous(memory_format=torch.channels_last)
        return Example(views, first, second, (second - n == first).long())

    def forward(self, example: Example) -> Tensor:
        """Logits (P, 2)."""
        features = self.encoder(example.views)
        logits: Tensor = self.head(torch.cat([features[example.first], features[example.second]], 1))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy of same or different."""
        return classification(prediction, example.same)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Pairs of both kinds."""
        words = ("different", "same")
        pictures = denormalise(example.views)
        chosen = prediction.detach().float().softmax(1)
        rows = torch.linspace(0, len(chosen) - 1, min(count, len(chosen))).long().tolist()
        return [
            Shown(
                inputs=[pictures[int(example.first[r])], pictures[int(example.second[r])]],
                pseudo_label=words[int(example.same[r])],
                prediction=f"{words[int(chosen[r].argmax())]} ({float(chosen[r].max()):.2f})",
            )
            for r in rows
        ]


@dataclass(frozen=True)
class Pairs:
    """Rows of one graph, (P, 2) each: pair i of both kinds begins with the same row. `found` pairs are on cycles."""

    positive: Tensor
    negative: Tensor
    found: int


def mine(features: Tensor, count: int, config: GraphConstraint.Config, rng: Generator) -> Pairs:
    """At most `count` positive and as many negative pairs of the samples with these descriptors (M, D)."""
    neighbours, distances = nearest_neighbours(features, min(config.neighbours, max(1, len(features) // 4)))
    cycles = torch.from_numpy(cycle_pairs(neighbours, config.cycle))
    if not len(cycles):
        raise ValueError(
            f"no two of {len(features)} images are on a cycle of at most {config.cycle} edges; raise --task.neighbours"
        )
    both_ways = torch.cat([cycles, cycles.flip(1)])
    turns = in_turn(both_ways[torch.randperm(len(both_ways), generator=rng)])
    positive = turns[torch.arange(count) % len(turns)]
    members = cycles.unique()
    landmarks = members[torch.randperm(len(members), generator=rng)[:LANDMARKS]]
    distance = torch.from_numpy(geodesic_distances(neighbours, distances, landmarks.numpy()))
    nearest, row = distance[:, positive[:, 0]].min(0)
    others = positive[torch.randint(len(positive), (len(positive), TRIES), generator=rng), 1]
    limit = distance[:, members].sort(1).values[:, int((1 - config.far) * len(members))]
    away = distance[row[:, None], others]
    is_far = (away >= limit[row][:, None]) & (others != positive[:, :1])
    # Where no landmark can be reached, whoever can be reached from one is in another part of the graph.
    is_far &= nearest.isfinite()[:, None] | away.isfinite()
    is_far &= ~torch.isin(_codes(positive[:, :1].expand_as(others), others), _codes(cycles[:, 0], cycles[:, 1]))
    negative = torch.stack([positive[:, 0], others.gather(1, is_far.int().argmax(1, keepdim=True))[:, 0]], 1)
    kept = is_far.any(1)
    return Pairs(positive[kept], negative[kept], len(cycles))


def in_turn(pairs: Tensor) -> Tensor:
    """Pairs (P, 2), so that every first row comes once before any comes twice, and so on; the order is kept else."""
    order = pairs[:, 0].argsort(stable=True)
    sizes = torch.bincount(pairs[:, 0])
    starts = (sizes.cumsum(0) - sizes)[pairs[order, 0]]
    turn = torch.empty_like(order).scatter(0, order, torch.arange(len(order)) - starts)
    return pairs[turn.argsort(stable=True)]


def _codes(first: Tensor, second: Tensor) -> Tensor:
    """One number for two sample numbers below 2^31, whatever their order."""
    return torch.minimum(first, second) * 2**31 + torch.maximum(first, second)

"""MoCo."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.split_statistics import SplitStatistics
from selftaught.tasks.parts.views import distorted_view

_FEWEST = 4
"""Images of the smallest sub-batch; variances of fewer say little."""


@dataclass
class Example:
    """Two views of N images, normalised.

    Attributes:
        queries: (N, 3, S, S), the views that the encoder sees.
        keys: (N, 3, S, S), the views that the momentum encoder sees.
        draws: (N,) float32 in [0, 1); the keys pass the momentum encoder in the order of these numbers.
        index: (N,) int64, the samples' numbers.
    """

    queries: Tensor
    keys: Tensor
    draws: Tensor
    index: Tensor


@dataclass
class Prediction:
    """Embeddings (N, K) of both views, not normalised; keys have no gradient."""

    queries: Tensor
    keys: Tensor


class MoCo(PretextTask):
    """Find the other view of the same image among a queue of views of other images (He et al., CVPR 2020).

    Links: https://arxiv.org/abs/1911.05722, and https://arxiv.org/abs/2003.04297 for version 2, which is implemented
    here.

    Flow: image (N, 3, H, W) -> two random views (N, 3, S, S). The first passes through the encoder and its head: a
    query q of unit length (N, K). The second passes through the momentum encoder and its head: the key k of the query
    (N, K). The loss is InfoNCE, the paper's eq. 1: -log exp(q k / t) / sum exp(q k_i / t), where k_i are k and the keys
    in the queue. After the update the momentum encoder follows, theta_k <- m theta_k + (1 - m) theta_q (eq. 2), and the
    new keys replace the oldest ones in the queue. Keys of all processes enter the queue in the order of ranks, so the
    queue is the same in all processes. The encoder of the queries is kept.

    Shortcut: a query and its key come from one batch, the keys in the queue from others, and batch normalisation leaves
    traces of the batch statistics in each embedding, so the key can be found without looking at the image. Guard: both
    encoders compute statistics over sub-batches, and keys are shuffled over all processes before they are encoded. A
    query and its key are then normalised with different images, as in the paper, where each GPU has a sub-batch.
    Batches of fewer than 8 images are not split. Colour histograms are a shortcut too, as in SimCLR; colour distortion,
    grey views and blur block it.

    Held-out accuracy is over the keys of the other images in the batch. Keys in the queue were computed with the
    statistics of sub-batches and held-out keys with running ones, which alone would separate them.

    Differences from the paper: keys of the query's own sample are not used as negatives (the queue contains such keys
    if it reaches back into the previous epoch); the queue is shorter, as most data sets are smaller than ImageNet; it
    is initialised with random unit vectors, which are negatives in the first step only; the momentum is lower in short
    runs; SGD uses Nesterov momentum and warm-up. For version 1: `--task.hidden 0 --task.blur 0 --task.temperature
    0.07`. For runs of a few epochs on small images, use a higher learning rate and a queue of about 8 batches, such as
    `--lr 0.06 --task.queue 1024` at a batch of 128.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.03, weight_decay=1e-4)
    shares_statistics = False

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        queue: Annotated[int, Range(least=1)] = 4096
        """Keys in the queue; 65,536 in the paper, 5 % of ImageNet, and 4,096 in the authors' code for CIFAR-10."""
        momentum: Annotated[float | None, Range(least=0, below=1)] = None
        """Momentum m of the key encoder (default: 0.999 as in the paper in runs of 10,000 steps or more, and \
steps / (steps + 10) in shorter ones)."""
        temperature: Annotated[float, Range(above=0)] = 0.2
        """Temperature that divides the cosine similarities; 0.07 in version 1."""
        hidden: Annotated[int, Range(least=0)] = 2048
        """Hidden units of the projection head; 0 makes it linear, as in version 1."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length K of the embeddings the loss compares."""
        splits: Annotated[int, Range(least=1)] = 8
        """Number of sub-batches of the global batch for batch normalisation, each of at least 4 images."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.2
        """Smallest share of the image's area that a crop covers."""
        jitter: Annotated[float, Range(least=0)] = 0.5
        """Strength of the colour distortion; 1 is that of SimCLR."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.2
        """Probability of a grey view."""
        blur: Annotated[float, Range(least=0, most=1)] = 0.5
        """Probability of a blurred view."""

    queue: Tensor
    sample_of: Tensor
    """(queue,) int64, the sample that each key of the queue is a view of; -1 for the random vectors of the start."""
    oldest: Tensor
    """() int64, row of the key that is replaced next."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        if config.hidden:
            self.head: nn.Module = projection_head(encoder.num_features, config.hidden, config.embedding)
        else:
            self.head = nn.Linear(encoder.num_features, config.embedding)
        self.key_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.key_head = copy.deepcopy(self.head).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(config.queue, config.embedding), dim=1))
        self.register_buffer("sample_of", torch.full((config.queue,), -1))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))
        self._fresh: list[tuple[Tensor, Tensor]] = []  # keys and samples of this step, one pair for each part of it
        # The same in all processes: DistributedDataParallel need not send the queue at every step.
        self._ddp_params_and_buffers_to_ignore = ["queue", "sample_of", "oldest"]

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of two views."""
        queries, keys = (self._view(batch["image"], rng) for _ in range(2))
        return Example(queries, keys, uniform((len(batch),), 0, 1, rng), batch.index)

    def forward(self, example: Example) -> Prediction:
        """Embeddings of the queries, with gradient, and of the keys, without."""
        splits = 1
        if self.training:
            order = gather_rows(example.draws).argsort(stable=True)
            total, own = len(order), len(example.draws)
            splits = max(1, min(self.config.splits, total // _FEWEST) * own // total)
        with SplitStatistics(splits):
            queries = self.head(self.encoder(example.queries))
            with torch.no_grad():
                if self.training:
                    keys = encoded_in_order(order, example.keys, lambda views: self.key_head(self.key_encoder(views)))
                else:
                    keys = self.key_head(self.key_encoder(example.keys))
        return Prediction(queries, keys)

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """InfoNCE, and the share of queries that no negative is nearer to than their own key."""
        dtype = torch.promote_types(prediction.queries.dtype, torch.float32)
        queries = F.normalize(prediction.queries.to(dtype), dim=1)
        keys = F.normalize(prediction.keys.to(dtype), dim=1)
        others = queries @ self.queue.to(dtype).T
        if self.training:
            self._fresh.append((keys, example.index))
            # Random vectors say nothing about images: with them alone all embeddings would move to one point.
            unfit = (example.index[:, None] == self.sample_of) | ((self.sample_of < 0) & (self.sample_of >= 0).any())
            others = others.masked_fill(unfit, float("-inf"))
        positive = (queries * keys).sum(1, keepdim=True)
        logits = torch.cat([positive, others], 1) / self.config.temperature
        loss = F.cross_entropy(logits, torch.zeros_like(example.index))
        if not self.training:
            others = (queries @ keys.T).fill_diagonal_(float("-inf"))
        # Strictly: a network that gives all images one embedding has found none.
        return {"loss": loss, "accuracy": (positive[:, 0] > others.amax(1)).float().mean()}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        """Move the momentum encoder after the encoder, and the keys of this step into the queue."""
        weight = 1 - self.momentum(total)
        for teacher, student in ((self.key_encoder, self.encoder), (self.key_head, self.head)):
            for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
                old.lerp_(new, weight)
        for keys, index in self._fresh:
            self._enqueue(gather_rows(keys), gather_rows(index))
        self._fresh.clear()

    def momentum(self, total: int) -> float:
        """Of the momentum encoder in a run of `total` steps."""
        if self.config.momentum is not None:
            return self.config.momentum
        return min(0.999, total / (total + 10))

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """A query's view, the key's view, and the one it finds among all keys' views."""
        queries, keys = (F.normalize(z.float(), dim=1) for z in (prediction.queries, prediction.keys))
        found = (queries @ keys.T).argmax(1).tolist()
        first, second = denormalise(example.queries), denormalise(example.keys)
        return [
            Shown(inputs=[first[i]], pseudo_label=second[i], prediction=second[found[i]])
            for i in range(min(count, len(found)))
        ]

    def _view(self, images: Tensor, rng: Generator) -> Tensor:
        c = self.config
        return distorted_view(images, self.size, rng, min_scale=c.min_scale, jitter=c.jitter, grey=c.grey, blur=c.blur)

    def _enqueue(self, keys: Tensor, index: Tensor) -> None:
        """Replace the oldest keys; of more keys than the queue holds, the last ones stay."""
        rows = (self.oldest + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        last = slice(-len(self.queue), None)
        self.queue[rows[last]] = keys[last].to(self.queue.dtype)
        self.sample_of[rows[last]] = index[last]
        self.oldest.copy_((self.oldest + len(keys)) % len(self.queue))


def encoded_in_order(order: Tensor, views: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Embeddings (N, K) of this process's views (N, 3, S, S), encoded in another order over all processes.

    Args:
        order: (world x N,) int64, a permutation of the rows of all processes, the same in each.
        encode: views (N, 3, S, S) -> (N, K).
    """
    own = slice(first_row(views), first_row(views) + len(views))
    shuffled = gather_rows(views)[order[own]].contiguous(memory_format=torch.channels_last)
    return gather_rows(encode(shuffled))[order.argsort()[own]]

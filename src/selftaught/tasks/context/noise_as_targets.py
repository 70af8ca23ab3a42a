"""Noise as targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise, normalised_jitter
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown


@dataclass
class Example:
    """Views normalised, and the samples' numbers (N,) int64.

    (N, 3, S, S) while training, (2 N, 3, S, S) on held-out data: the first views before the second ones.
    """

    images: Tensor
    index: Tensor


class NoiseAsTargets(PretextTask):
    """Predict a random point on the sphere, one for each image, exchanged between images (Bojanowski, Joulin, ICML
    2017).

    Link: https://arxiv.org/abs/1704.05310

    Flow: once, M random points on the unit sphere (M, K), the targets C, one per image. Every step, image (N, 3, H, W)
    -> random crop (N, 3, S, S) -> encoder (N, D) -> linear (N, K), unit length -> half the squared distance to the
    target of the image, averaged over images. In every third epoch, the images of a batch first exchange their targets
    by the permutation with the smallest sum of squared distances (Hungarian algorithm). Over the epochs this minimises
    the paper's objective, 1/2 ||f(X) - P C||^2 over the network f and permutations P.

    The network decides which images exchange targets, so similar images move to nearby targets, while the targets keep
    the images apart over the whole sphere.

    The exchange happens inside `loss`, where the outputs are available, and only in training. The assignment and the
    number of images seen are buffers, so a resumed run is exact. Several processes solve the assignment of the global
    batch and use the solution of the first.

    Held-out images have no target. The first N targets are assigned optimally to their first views, and the metric is
    how often the target nearest to a second view is that of its image.

    Shortcut: a collapse, where all outputs are one point. Guard: targets are fixed, and an exchange is a permutation,
    even if an image occurs twice in a batch, so no target is lost or assigned twice.

    Differences from the paper: K is 2048 in the paper (targets take 4 M K bytes in memory and in checkpoints); its
    encoder sees gradients of the grey image (`--encoder sobel:resnet18`), so that colours cannot identify images;
    `--task.jitter 1` has nearly the same effect; one linear layer follows global pooling; the learning rate falls by a
    cosine.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        embedding: Annotated[int, Range(least=2)] = 128
        """Dimensions K of the targets."""
        every: Annotated[int, Range(least=1)] = 3
        """Images exchange targets in every `every`-th epoch, starting with the first."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""
        jitter: Annotated[float, Range(least=0)] = 0.0
        """Strength of random changes of brightness, contrast, saturation and hue, as in SimCLR, with a fifth of the \
views grey."""

    targets: Tensor
    target_of: Tensor
    """(largest sample number + 1,) int64, row of `targets`; -1 where the run does not read the sample."""
    seen: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.embedding)
        self.register_buffer("targets", torch.zeros(0, config.embedding))
        self.register_buffer("target_of", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        # They never change and may be large: DistributedDataParallel need not send them at every step.
        self._ddp_params_and_buffers_to_ignore = ["targets"]

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def refresh_epochs(self) -> float:
        return float("inf")

    def embed(self, batch: Batch) -> Tensor:
        """Nothing: the targets do not depend on the images."""
        return torch.zeros(len(batch), 1, device=batch.index.device)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Draw the targets, one for each sample."""
        total = len(known.index)
        self.targets = F.normalize(torch.randn(total, self.config.embedding, generator=rng), dim=1)
        self.target_of = torch.full((int(known.index.max()) + 1,), -1).scatter(0, known.index, torch.arange(total))
        return Refreshed(scalars={})

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`; `loss` looks up the targets."""
        views = [self._view(batch["image"], rng) for _ in range(1 if self.training else 2)]
        return Example(torch.cat(views).contiguous(memory_format=torch.channels_last), batch.index)

    def _view(self, images: Tensor, rng: Generator) -> Tensor:
        crops, s = random_resized_crop(images, self.size, rng, scale=(self.config.min_scale, 1.0)), self.config.jitter
        return normalised_jitter(crops, rng, 0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s) if s else normalise(crops)

    def forward(self, example: Example) -> Tensor:
        """Outputs (N or 2 N, K), not normalised."""
        outputs: Tensor = self.head(self.encoder(example.images))
        return outputs

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Half the squared distance to the own target, and how often no other target of the batch is nearer."""
        outputs = F.normalize(prediction.to(torch.promote_types(prediction.dtype, torch.float32)), dim=1)
        if self.training:
            index = gather_rows(example.index)
            self._exchange(gather_rows(outputs.detach()), index)
            given = self.target_of[index]
        else:
            first, outputs = outputs.chunk(2)
            given = self._assign_held_out(gather_rows(first))
        start = first_row(outputs)
        own = given[start : start + len(outputs)]
        with torch.no_grad():
            found = given[(outputs @ self.targets[given].T).argmax(1)]
        distance = (outputs - self.targets[own]).square().sum(1)
        return {"loss": distance.mean() / 2, "accuracy": (found == own).float().mean()}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A second view, the first view of its image, and the first view whose target is the nearest to it."""
        first, second = F.normalize(prediction.float(), dim=1).chunk(2)
        given = self._assign_held_out(first)
        found = (second @ self.targets[given].T).argmax(1)
        pictures, n = denormalise(example.images), len(first)
        return [
            Shown(inputs=[pictures[n + i]], pseudo_label=pictures[i], prediction=pictures[int(found[i])])
            for i in range(min(count, n))
        ]

    @torch.no_grad()
    def _exchange(self, outputs: Tensor, index: Tensor) -> None:
        """In every `every`-th epoch, permute the targets of the samples `index` (N,) so that they suit the outputs."""
        epoch = int(self.seen) // len(self.targets)
        self.seen += len(index)
        if epoch % self.config.every:
            return
        # A batch that spans two epochs may hold a sample twice; it has one target, and its first row is used.
        samples, place = index.unique(return_inverse=True)
        rows = torch.arange(len(index), device=index.device)
        first = torch.full_like(samples, len(index)).scatter_reduce(0, place, rows, "amin")
        given = self.target_of[samples]
        self.target_of[samples] = given[best_assignment(outputs[first], self.targets[given])]

    @torch.no_grad()
    def _assign_held_out(self, outputs: Tensor) -> Tensor:
        """Rows of `targets` for held-out outputs (N, K): the first N targets, assigned at best."""
        given = torch.arange(len(outputs), device=outputs.device) % len(self.targets)
        return given[best_assignment(outputs, self.targets[given])]


def best_assignment(outputs: Tensor, targets: Tensor) -> Tensor:
    """The permutation (N,) of targets (N, K) with the least sum of squared distances to outputs (N, K), unit vectors.

    All processes call this with the same values; all use the result of the first, as rounding may differ.
    """
    cost = torch.nan_to_num(1 - outputs.double() @ targets.double().T)
    _, columns = linear_sum_assignment(cost.cpu().numpy())
    chosen = torch.from_numpy(columns).to(outputs.device)
    return gather_rows(chosen)[: len(outputs)]

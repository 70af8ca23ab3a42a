"""SimCLR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import nt_xent
from selftaught.tasks.parts.views import distorted_view


@dataclass
class Example:
    """Both views of N images, normalised: (2 * N, 3, S, S), the first views before the second ones."""

    views: Tensor


class SimCLR(PretextTask):
    """Find the other view of the same image among all views in the batch (Chen, Kornblith, Norouzi, Hinton, ICML 2020).

    Link: https://arxiv.org/abs/2002.05709

    Flow: image (N, 3, H, W) -> two random views (2 N, 3, S, S) -> encoder (2 N, D) -> projection head
    (2 N, K) -> normalised embeddings -> NT-Xent, the paper's eq. 1, over the global batch.

    A view is a random-resized crop, mirrored half the time, with colour distortion and blur (appendix A).

    Shortcut: two crops of one image share its colour histogram, which is nearly enough to find the partner (the paper's
    figure 6). Guard: strong colour distortion, grey with probability 0.2, and blur. In separate batches, views would
    also carry traces of the batch statistics. Guard: all views of a process pass through the encoder in one batch, and
    on GPUs statistics are computed over all processes. With several CPU processes, each has its own statistics, so the
    partner has the same statistics and most negatives do not.

    Differences from the paper: colour distortion is one affine map per view (hue is rotated in YIQ, values are clipped
    once at the end); both views pass the encoder in one batch, so batch normalisation sees both; SGD with weight decay
    5e-4 instead of LARS with 1e-6, as batches here are hundreds, not thousands, of images (`--optimizer lars` has its
    own learning rate); 512 hidden units of the head instead of as many as the encoder has. On 32-pixel images the paper
    halves the jitter and uses no blur: `--task.jitter 0.5 --task.blur 0`.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.12, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        temperature: Annotated[float, Range(above=0)] = 0.2
        """Temperature that divides the cosine similarities; 0.1 on ImageNet and 0.5 on CIFAR-10 in the paper."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the projection head."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length K of the embeddings the loss compares."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.08
        """Smallest share of the image's area that a crop covers."""
        jitter: Annotated[float, Range(least=0)] = 1.0
        """Strength of the colour distortion."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.2
        """Probability of a grey view."""
        blur: Annotated[float, Range(least=0, most=1)] = 0.5
        """Probability of a blurred view."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = projection_head(encoder.num_features, config.hidden, config.embedding)

    def chance(self, batch_size: int) -> float:
        return 1 / (2 * batch_size - 1)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of 2 * N views; the pseudo-label is the order of the rows."""
        n, device = len(batch), batch["image"].device
        shape = (2 * n, batch["image"].shape[1], self.size, self.size)
        views = torch.empty(shape, device=device, memory_format=torch.channels_last)
        self._view(batch["image"], rng, out=views[:n])
        self._view(batch["image"], rng, out=views[n:])
        return Example(views)

    def forward(self, example: Example) -> Tensor:
        """Embeddings (2 * N, K), not normalised."""
        embeddings: Tensor = self.head(self.encoder(example.views))
        return embeddings

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """NT-Xent, and how often the nearest other view is the right one."""
        first, second = prediction.chunk(2)
        loss, accuracy = nt_xent(first, second, self.config.temperature)
        return {"loss": loss, "accuracy": accuracy}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A view, the view it should find, and the one it finds among all second views."""
        first, second = torch.nn.functional.normalize(prediction.float(), dim=1).chunk(2)
        found = (first @ second.T).argmax(1)
        pictures = denormalise(example.views)
        n = len(first)
        return [
            Shown(inputs=[pictures[i]], pseudo_label=pictures[n + i], prediction=pictures[n + int(found[i])])
            for i in range(min(count, n))
        ]

    def _view(self, images: Tensor, rng: Generator, out: Tensor) -> None:
        c = self.config
        distorted_view(
            images, self.size, rng, min_scale=c.min_scale, jitter=c.jitter, grey=c.grey, blur=c.blur, out=out
        )
